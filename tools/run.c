#include "log.h"
#include "maint.h"
#include "tool.h"

int command_run(struct tool *tool)
{
    struct maint_report r = {0};
    enum error_code rc = maint_run(tool->kvs, &r);

    if (rc)
        return tool_failed("maintenance was cut short", rc, NULL);
    if (!tool->json) {
        tool_say(
            tool,
            "expired %lld entries, settled %lld leases, dropped %lld dead letters and %lld markers, removed %lld rows",
            (long long)r.expired, (long long)r.lapsed, (long long)r.dead, (long long)r.markers, (long long)r.rows);
        return TOOL_DONE;
    }
    if (tool->quiet)
        return TOOL_DONE;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    tool_json_int(json, "expired", r.expired);
    tool_json_int(json, "leases", r.lapsed);
    tool_json_int(json, "dead", r.dead);
    tool_json_int(json, "markers", r.markers);
    tool_json_int(json, "rows", r.rows);
    return tool_print_json(json);
}
