package io.dcsidecar.powerjob.testscheduler;

import java.util.Date;
import java.util.List;
import org.apache.commons.lang3.exception.ExceptionUtils;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import tech.powerjob.common.request.http.SaveJobInfoRequest;
import tech.powerjob.common.request.http.SaveWorkflowNodeRequest;
import tech.powerjob.common.request.http.SaveWorkflowRequest;
import tech.powerjob.common.request.query.InstancePageQuery;
import tech.powerjob.common.response.InstanceInfoDTO;
import tech.powerjob.common.response.JobInfoDTO;
import tech.powerjob.common.response.PageResult;
import tech.powerjob.common.response.ResultDTO;
import tech.powerjob.common.response.WorkflowInstanceInfoDTO;
import tech.powerjob.server.core.instance.InstanceService;
import tech.powerjob.server.core.service.JobService;
import tech.powerjob.server.core.workflow.WorkflowInstanceService;
import tech.powerjob.server.core.workflow.WorkflowService;
import tech.powerjob.server.persistence.remote.model.AppInfoDO;
import tech.powerjob.server.persistence.remote.model.WorkflowNodeInfoDO;
import tech.powerjob.server.persistence.remote.repository.AppInfoRepository;

/** The part of PowerJob's OpenAPI that the tests use, under its open and its secured paths, and {@code registerApp}. */
@RestController
@RequestMapping({"/openApi", "/secured/openApi"})
class OpenApi {
    private final AppInfoRepository apps;
    private final JobService jobs;
    private final InstanceService instances;
    private final WorkflowService workflows;
    private final WorkflowInstanceService workflowInstances;

    OpenApi(AppInfoRepository apps, JobService jobs, InstanceService instances, WorkflowService workflows,
            WorkflowInstanceService workflowInstances) {
        this.apps = apps;
        this.jobs = jobs;
        this.instances = instances;
        this.workflows = workflows;
        this.workflowInstances = workflowInstances;
    }

    @PostMapping("/registerApp")
    ResultDTO<Long> registerApp(@RequestParam String appName) {
        AppInfoDO app = new AppInfoDO();
        app.setAppName(appName);
        app.setPassword("password");
        app.setGmtCreate(new Date());
        app.setGmtModified(new Date());
        return ResultDTO.success(apps.saveAndFlush(app).getId());
    }

    @PostMapping("/saveJob")
    ResultDTO<Long> saveJob(@RequestBody SaveJobInfoRequest request) {
        return ResultDTO.success(jobs.saveJob(request));
    }

    @PostMapping("/fetchJob")
    ResultDTO<JobInfoDTO> fetchJob(@RequestParam Long jobId) {
        return ResultDTO.success(jobs.fetchJob(jobId));
    }

    @PostMapping("/disableJob")
    ResultDTO<Void> disableJob(@RequestParam Long jobId) {
        jobs.disableJob(jobId);
        return ResultDTO.success(null);
    }

    @PostMapping("/runJob")
    ResultDTO<Long> runJob(@RequestParam Long appId, @RequestParam Long jobId,
            @RequestParam(required = false) String instanceParams, @RequestParam(required = false) Long delay) {
        return ResultDTO.success(jobs.runJob(appId, jobId, instanceParams, delay));
    }

    @PostMapping("/stopInstance")
    ResultDTO<Void> stopInstance(@RequestParam Long appId, @RequestParam Long instanceId) {
        instances.stopInstance(appId, instanceId);
        return ResultDTO.success(null);
    }

    @PostMapping("/retryInstance")
    ResultDTO<Void> retryInstance(@RequestParam Long appId, @RequestParam Long instanceId) {
        instances.retryInstance(appId, instanceId);
        return ResultDTO.success(null);
    }

    @PostMapping("/cancelInstance")
    ResultDTO<Void> cancelInstance(@RequestParam Long appId, @RequestParam Long instanceId) {
        instances.cancelInstance(appId, instanceId);
        return ResultDTO.success(null);
    }

    @PostMapping("/fetchInstanceInfo")
    ResultDTO<InstanceInfoDTO> fetchInstanceInfo(@RequestParam Long instanceId) {
        return ResultDTO.success(instances.getInstanceInfo(instanceId));
    }

    @PostMapping("/queryInstance")
    ResultDTO<PageResult<InstanceInfoDTO>> queryInstance(@RequestBody InstancePageQuery query) {
        return ResultDTO.success(instances.queryInstanceInfo(query));
    }

    @PostMapping("/saveWorkflow")
    ResultDTO<Long> saveWorkflow(@RequestBody SaveWorkflowRequest request) {
        return ResultDTO.success(workflows.saveWorkflow(request));
    }

    @PostMapping("/addWorkflowNode")
    ResultDTO<List<WorkflowNodeInfoDO>> saveWorkflowNode(@RequestBody List<SaveWorkflowNodeRequest> request) {
        return ResultDTO.success(workflows.saveWorkflowNode(request));
    }

    @PostMapping("/runWorkflow")
    ResultDTO<Long> runWorkflow(@RequestParam Long appId, @RequestParam Long workflowId) {
        return ResultDTO.success(workflows.runWorkflow(workflowId, appId, null, 0L));
    }

    @PostMapping("/fetchWfInstanceInfo")
    ResultDTO<WorkflowInstanceInfoDTO> fetchWorkflowInstanceInfo(@RequestParam Long appId, @RequestParam Long wfInstanceId) {
        return ResultDTO.success(workflowInstances.fetchWorkflowInstanceInfo(wfInstanceId, appId));
    }

    @PostMapping("/retryWfInstance")
    ResultDTO<Void> retryWorkflowInstance(@RequestParam Long appId, @RequestParam Long wfInstanceId) {
        workflowInstances.retryWorkflowInstance(wfInstanceId, appId);
        return ResultDTO.success(null);
    }

    @ExceptionHandler(Exception.class)
    @ResponseStatus(HttpStatus.OK)
    ResultDTO<Void> failed(Exception cause) {
        return ResultDTO.failed(ExceptionUtils.getMessage(cause));
    }
}
