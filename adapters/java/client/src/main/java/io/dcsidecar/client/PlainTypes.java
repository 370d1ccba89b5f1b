package io.dcsidecar.client;

/** Reads the plain types {@link Job} and {@link Worker}. */
final class PlainTypes implements SchedulerTypes<Job, Worker> {
    @Override
    public Object key(Job job) {
        return job;
    }

    @Override
    public AppNames app(Job job) {
        return AppNames.of(job.app);
    }

    @Override
    public String job(Job job) {
        return job.id;
    }

    @Override
    public String address(Worker worker) {
        return worker.address;
    }

    @Override
    public String tag(Worker worker) {
        return worker.tag;
    }

    @Override
    public String metrics(Worker worker) {
        return worker.datacenter;
    }
}
