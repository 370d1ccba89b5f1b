# docs/decision-rules.md in Rego: data.routing is the document, the input a FilterWorkers request.
#
# Not covered: ramps, and workers without a datacenter in the request.
package dcsidecar

now := object.get(input, "now_ns", time.now_ns())

application := data.routing.apps[input.app]

route := application.jobs[input.job] if {
	application.jobs[input.job]
} else := application.route if {
	application
} else := data.routing["default"]

out contains name if some name in data.routing.marked

out contains drill.datacenter if {
	some drill in data.routing.drills
	drill.start_ns <= now
	now < drill.until_ns
	covers(drill)
}

covers(drill) if drill.apps == null

covers(drill) if input.app in drill.apps

preferred := [route.active] if {
	route.active
} else := [name | some [_, name] in sort([[0 - score(name, weight), name] | some name, weight in route.split; weight > 0])]

# Drops duplicates; the first occurrence stays.
order := [name |
	all := array.concat(preferred, route.backups)
	some index, name in all
	not name in array.slice(all, 0, index)
]

at(name) := [index | some index, worker in input.candidates; worker.datacenter == name]

first_reason := "ACTIVE" if route.active

else := "SPLIT"

serving := {"datacenter": order[0], "reason": first_reason} if {
	not order[0] in out
	count(at(order[0])) >= route.min_workers
} else := {"datacenter": able[0], "reason": "FAILOVER"} if {
	able := [name | some name in order; not name in out; count(at(name)) >= route.min_workers]
	count(able) > 0
} else := {"datacenter": some_workers[0], "reason": "DEGRADED"} if {
	some_workers := [name | some name in order; not name in out; count(at(name)) > 0]
	count(some_workers) > 0
}

decision := {"datacenter": "", "reason": "UNROUTED", "indices": [index | some index, _ in input.candidates]} if {
	not preferred[0]
} else := object.union(serving, {"indices": at(serving.datacenter)}) if {
	serving
} else := {"datacenter": "", "reason": "ANY", "indices": left} if {
	route.on_empty == "any"
	left := [index | some index, worker in input.candidates; not worker.datacenter in out]
	count(left) > 0
} else := {"datacenter": "", "reason": "NO_WORKERS", "indices": []}

filter := object.union(decision, {
	"addresses": [input.candidates[index].address | some index in decision.indices],
	"revision": data.routing.revision,
})

# Weighted rendezvous hashing: -weight / ln((h + 0.5) / 2^52), h the first 13 hexadecimal digits of SHA-256.

key := input.instance if {
	route.sticky == "instance"
	input.instance != ""
} else := input.job if {
	input.job != ""
} else := input.instance

score(name, weight) := weight / ((4 * zeros + shift[lead]) * 0.69314718055994530942 - logarithm) if {
	digits := substring(crypto.sha256(sprintf("%s\n%s\n%s", [input.app, key, name])), 0, 13)
	significant := trim_left(digits, "0")
	zeros := 13 - count(significant)
	lead := substring(significant, 0, 1)
	h := sum([part | some place in numbers.range(0, 12); part := value[substring(digits, place, 1)] * power[place]])

	# Scaled to 0.5 to 1, where the logarithm series converges fast.
	m := ((h + 0.5) * (factor[zeros] * double[lead])) / 4503599627370496
	z := (m - 1) / (m + 1)
	logarithm := 2 * sum([term |
		some n in numbers.range(0, 15)
		term := product([z | some _ in numbers.range(0, 2 * n)]) / ((2 * n) + 1)
	])
}

value := {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "7": 7, "8": 8, "9": 9, "a": 10, "b": 11, "c": 12, "d": 13, "e": 14, "f": 15}

# For each leading hexadecimal digit, the shift that fills its four bits, and its factor.
shift := {digit: times |
	some digit, number in value
	number > 0
	times := count([limit | some limit in [2, 4, 8]; number < limit])
}

double := {digit: [1, 2, 4, 8][by] | some digit, by in shift}

factor := [product([16 | some n in numbers.range(1, 13); n <= zeros]) | some zeros in numbers.range(0, 13)]

power := [factor[12 - place] | some place in numbers.range(0, 12)]
