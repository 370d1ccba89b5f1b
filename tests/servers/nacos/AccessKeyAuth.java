import com.alibaba.nacos.plugin.auth.api.IdentityContext;
import com.alibaba.nacos.plugin.auth.api.Permission;
import com.alibaba.nacos.plugin.auth.api.Resource;
import com.alibaba.nacos.plugin.auth.constant.ActionTypes;
import com.alibaba.nacos.plugin.auth.spi.server.AuthPluginService;
import java.util.Collection;

/** The authentication "NACOS" of Nacos 2.3. */
public class AccessKeyAuth implements AuthPluginService {
    @Override
    public String getAuthServiceName() {
        return "NACOS";
    }

    @Override
    public Collection<String> identityNames() {
        return AccessKeys.HEADERS;
    }

    @Override
    public boolean enableAuth(ActionTypes action, String type) {
        return true;
    }

    @Override
    public boolean validateIdentity(IdentityContext identity, Resource resource) {
        return AccessKeys.refusal(identity, resource).isEmpty();
    }

    @Override
    public Boolean validateAuthority(IdentityContext identity, Permission permission) {
        return true;
    }
}
