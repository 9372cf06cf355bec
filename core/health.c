#include "health.h"

bool health_is_for(const struct grant *grant)
{
    return grant && grant_has(grant, SCOPE_ADMIN);
}

void health_write(struct json_out *out, const struct health *health)
{
    json_out_object(out);
    json_out_name(out, "ok");
    json_out_bool(out, health->ok);
    json_out_name(out, "uptime");
    json_out_double(out, health->uptime);
    json_out_name(out, "version");
    json_out_cstr(out, PACKAGE_VERSION);
    json_out_name(out, "mode");
    json_out_cstr(out, health->mode == KVS_CGI ? "cgi" : "fastcgi");
    if (health->report) {
        json_out_name(out, "checks");
        diagnose_json(health->report, out);
    }
    json_out_end(out);
}
