import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import net.javacrumbs.shedlock.core.DefaultLockingTaskExecutor;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.provider.inmemory.InMemoryLockProvider;
import org.quartz.Job;
import org.quartz.JobBuilder;
import org.quartz.JobExecutionContext;
import org.quartz.Scheduler;
import org.quartz.Trigger;
import org.quartz.TriggerBuilder;
import org.quartz.TriggerKey;
import org.quartz.impl.StdSchedulerFactory;
import org.quartz.listeners.SchedulerListenerSupport;

/** Runs a Quartz job and a ShedLock task behind the gate at each URL; prints which of them ran. */
public final class Runs {
    private static volatile boolean ran;

    public static final class Marking implements Job {
        @Override
        public void execute(JobExecutionContext context) {
            ran = true;
        }
    }

    public static void main(String[] urls) throws Exception {
        for (String url : urls) {
            DatacenterGate gate = new DatacenterGate(url, false);
            System.out.println(quartz(gate) + " " + shedLock(gate));
        }
    }

    private static boolean quartz(DatacenterGate gate) throws Exception {
        Properties settings = new Properties();
        settings.put("org.quartz.threadPool.threadCount", "1");
        settings.put("org.quartz.scheduler.instanceName", "s" + System.nanoTime());
        Scheduler scheduler = new StdSchedulerFactory(settings).getScheduler();
        CountDownLatch over = new CountDownLatch(1);
        scheduler.getListenerManager().addTriggerListener(new QuartzGate(gate));
        scheduler.getListenerManager().addSchedulerListener(new SchedulerListenerSupport() {
            @Override
            public void triggerFinalized(Trigger trigger) {
                over.countDown();
            }
        });
        ran = false;
        scheduler.scheduleJob(JobBuilder.newJob(Marking.class).build(),
                TriggerBuilder.newTrigger().withIdentity(new TriggerKey("once")).startNow().build());
        scheduler.start();
        if (!over.await(20, TimeUnit.SECONDS)) {
            throw new IllegalStateException("the trigger has not fired");
        }
        scheduler.shutdown(true);
        return ran;
    }

    private static boolean shedLock(DatacenterGate gate) {
        ran = false;
        new DefaultLockingTaskExecutor(new ShedLockGate(new InMemoryLockProvider(), gate)).executeWithLock(
                (Runnable) () -> ran = true,
                new LockConfiguration(Instant.now(), "task", Duration.ofMinutes(1), Duration.ZERO));
        return ran;
    }
}
