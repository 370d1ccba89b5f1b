package io.dcsidecar.powerjob.testscheduler;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import tech.powerjob.common.OpenAPIConstant;
import tech.powerjob.common.enums.ErrorCodes;
import tech.powerjob.common.exception.PowerJobException;
import tech.powerjob.common.response.PowerResultDTO;
import tech.powerjob.common.serialize.JsonUtils;
import tech.powerjob.server.auth.jwt.JwtService;
import tech.powerjob.server.auth.jwt.ParseResult;
import tech.powerjob.server.core.service.AppInfoService;

/** Authenticates the secured OpenAPI with PowerJob's own tokens and passwords, and answers as the stock server does. */
@RestController
class OpenApiAuth implements WebMvcConfigurer, HandlerInterceptor {
    private final JwtService tokens;
    private final AppInfoService apps;

    OpenApiAuth(JwtService tokens, AppInfoService apps) {
        this.tokens = tokens;
        this.apps = apps;
    }

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).addPathPatterns("/secured/openApi/**").excludePathPatterns("/secured/openApi/authApp");
    }

    @PostMapping({"/openApi/authApp", "/secured/openApi/authApp"})
    PowerResultDTO<Map<String, Object>> signIn(@RequestBody Map<String, String> request) {
        try {
            Map<String, Object> claims = new HashMap<>();
            claims.put("appId", apps.assertApp(request.get("appName"), request.get("encryptedPassword"), request.get("encryptType")));
            Map<String, Object> result = new HashMap<>(claims);
            result.put("token", tokens.build(claims, null));
            return PowerResultDTO.s(result);
        } catch (PowerJobException refused) {
            return PowerResultDTO.f(refused);
        }
    }

    @Override
    public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) throws IOException {
        String app = request.getHeader(OpenAPIConstant.REQUEST_HEADER_APP_ID);
        String token = request.getHeader(OpenAPIConstant.REQUEST_HEADER_ACCESS_TOKEN);
        boolean passed = false;
        if (app != null && token != null) {
            ParseResult parsed = tokens.parse(token, null);
            passed = parsed.getStatus() == ParseResult.Status.SUCCESS && app.equals(String.valueOf(parsed.getResult().get("appId")));
        }
        response.addHeader(OpenAPIConstant.RESPONSE_HEADER_AUTH_STATUS, String.valueOf(passed));
        if (!passed) {
            response.setContentType("application/json; charset=utf-8");
            response.getWriter().write(JsonUtils.toJSONString(PowerResultDTO.f(new PowerJobException(ErrorCodes.INVALID_TOKEN, null))));
        }
        return passed;
    }
}
