package io.dcsidecar.powerjob.testscheduler;

import java.util.Collections;
import java.util.Map;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import tech.powerjob.common.model.WorkerAppInfo;
import tech.powerjob.common.request.ServerDiscoveryRequest;
import tech.powerjob.common.response.ResultDTO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;
import tech.powerjob.server.remote.server.election.ServerElectionService;
import tech.powerjob.server.remote.worker.WorkerClusterQueryService;

/** The HTTP endpoints that a worker calls at startup, and the list of workers. */
@RestController
@RequestMapping({"/server", "/secured/server"})
class WorkerEndpoints {
    private final AppInfoRepository apps;
    private final ServerElectionService election;
    private final WorkerClusterQueryService clusters;

    WorkerEndpoints(AppInfoRepository apps, ServerElectionService election, WorkerClusterQueryService clusters) {
        this.apps = apps;
        this.election = election;
        this.clusters = clusters;
    }

    @GetMapping("/assert")
    ResultDTO<Long> app(@RequestParam String appName) {
        return apps.findByAppName(appName).map(app -> ResultDTO.success(app.getId()))
                .orElseGet(() -> ResultDTO.failed("no application " + appName));
    }

    @GetMapping("/assertV2")
    ResultDTO<WorkerAppInfo> appInfo(@RequestParam String appName) {
        return apps.findByAppName(appName).map(app -> ResultDTO.success(new WorkerAppInfo().setAppId(app.getId())))
                .orElseGet(() -> ResultDTO.failed("no application " + appName));
    }

    @GetMapping("/acquire")
    ResultDTO<String> server(@RequestParam Long appId, @RequestParam String protocol,
            @RequestParam(required = false) String currentServer) {
        ServerDiscoveryRequest request = new ServerDiscoveryRequest();
        request.setAppId(appId);
        request.setProtocol(protocol);
        request.setCurrentServer(currentServer);
        return ResultDTO.success(election.elect(request));
    }

    @GetMapping("/hello")
    ResultDTO<Map<String, Object>> hello() {
        return ResultDTO.success(Collections.singletonMap("appId2ClusterInfo", clusters.getAppId2ClusterStatus()));
    }
}
