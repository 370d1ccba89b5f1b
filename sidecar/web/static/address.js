// What is shown stands in the page's address: a link shows the same filter, application or change to others.
const query = () => new URLSearchParams(location.search);

// The value of a parameter, null where the address has none.
export const read = (name) => query().get(name);

// Sets parameters, without a new entry in the browser's history; null removes one.
export function write(values) {
  const parameters = query();
  for (const [name, value] of Object.entries(values)) {
    if (value === null) parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  const address = location.pathname + (text ? `?${text}` : "") + location.hash;
  if (address !== location.pathname + location.search + location.hash) history.replaceState(null, "", address);
}
