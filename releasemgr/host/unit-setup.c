#include <errno.h>

#include "base/text.h"
#include "host/properties.h"
#include "host/unit-setup.h"

static int obstacle(char ***list, const char *setting, const char *value, const char *why) {
        _cleanup_free_ char *text = text_format("%s=%s: %s", setting, value, why);

        return text ? strv_add(list, text) : -ENOMEM;
}

/* @path is @directory or lies in it. */
static bool lies_in(const char *path, const char *directory) {
        const char *rest = directory ? startswith(path, directory) : NULL;

        return rest && (*rest == '\0' || *rest == '/');
}

static int type_obstacles(const UnitSetup *s, const UnitUse *use, char ***list) {
        if (streq(s->type, "oneshot"))
                return obstacle(list, "Type", s->type,
                                "no process stays that could be watched; use notify, or exec");
        if (use->beside && streq(s->type, "dbus"))
                return obstacle(list, "Type", s->type,
                                "two instances cannot own one bus name; use notify, or exec");
        if (use->reload && !s->can_reload)
                return obstacle(list, "ExecReload", "",
                                "the unit cannot be reloaded; set it, or use Strategy=restart");
        return 0;
}

/* A kill mode that spares processes leaves those of the old release running beside the new one. */
static int kill_obstacles(const UnitSetup *s, char ***list) {
        if (!streq(s->kill_mode, "none") && !streq(s->kill_mode, "process"))
                return 0;
        return obstacle(list, "KillMode", s->kill_mode,
                        "processes of the old release would go on; use control-group or mixed");
}

/* Whether a word of the command lies in @directory. */
static bool runs_in(const UnitSetup *s, const char *directory) {
        size_t n = directory ? strlen(directory) : 0;

        for (const char *w = s->exec_start; n > 0 && (w = strstr(w, directory)); w += n)
                if ((w == s->exec_start || w[-1] == ' ') && (w[n] == '/' || w[n] == ' ' || w[n] == '\0'))
                        return true;
        return false;
}

/* What is executed, and that it can be seen of which release it is. */
static int command_obstacles(const UnitSetup *s, const UnitUse *use, char ***list) {
        const char *path = s->working_directory + (s->working_directory[0] == '!');
        bool current = runs_in(s, use->current), releases = runs_in(s, use->releases);

        if (use->beside && current)
                return obstacle(list, "ExecStart", s->exec_start,
                                "a new instance would run the old release; name the release by %I");
        if (!use->beside && releases)
                return obstacle(list, "ExecStart", s->exec_start,
                                "it names one release for good; go through the link current");
        if (!use->prove || isempty(s->exec_start) || current || releases || lies_in(path, use->current) ||
                        lies_in(path, use->releases))
                return 0;
        return obstacle(list, "WorkingDirectory", path,
                        use->beside ? "nothing shows that the process runs the release; name the release by "
                                      "%I, or say ProveProcess=off WHY"
                                    : "nothing shows that the process runs the release; go through the link "
                                      "current, or say ProveProcess=off WHY");
}

static int directory_obstacles(const UnitSetup *s, const UnitUse *use, char ***list) {
        const char *path = s->working_directory + (s->working_directory[0] == '!');

        if (use->beside && lies_in(path, use->current))
                return obstacle(list, "WorkingDirectory", path,
                                "a new instance would start in the old release; name the release by %I");
        if (!use->beside && lies_in(path, use->releases))
                return obstacle(list, "WorkingDirectory", path,
                                "it names one release for good; go through the link current");
        return 0;
}

/* A release that fails is to be taken back, which an action on the whole host forestalls. */
static int action_obstacle(const char *setting, const char *action, char ***list) {
        if (isempty(action) || streq(action, "none"))
                return 0;
        return obstacle(list, setting, action, "a bad release would do that to the host; use none");
}

static bool has_socket(const UnitSetup *s) {
        return strstr(s->triggered_by, ".socket");
}

static bool loses_socket(const UnitSetup *s) {
        return has_socket(s) && s->start_limit_usec > 0;
}

/* A service is given the socket of its own name without a word, an instance of a template is not. */
static int socket_obstacle(const UnitSetup *s, const UnitUse *use, char ***list) {
        if (!use->beside || !use->socket || words_have(s->triggered_by, use->socket))
                return 0;
        return obstacle(list, "Sockets", "", "instances are not given the app's socket; name it there");
}

static int limit_obstacle(const UnitSetup *s, const UnitUse *use, char ***list) {
        if (!use->beside || !loses_socket(s))
                return 0;
        return obstacle(list, "StartLimitIntervalSec", "",
                        "at the limit systemd closes the socket, for the old release too; set it to 0");
}

int unit_entry_obstacles(const UnitSetup *s, char ***ret) {
        _cleanup_strv_ char **list = NULL;
        int r = 0;

        if (loses_socket(s))
                r = obstacle(&list, "StartLimitIntervalSec", "",
                                "at the limit systemd closes the socket; set it to 0");
        if (r >= 0 && has_socket(s) && !isempty(s->condition))
                r = obstacle(&list, s->condition, "",
                                "while it does not hold, systemd tries again at once and closes the socket; "
                                "remove it");
        if (r >= 0 && s->remain_after_exit)
                r = obstacle(&list, "RemainAfterExit", "yes", "it would be started once and no more; use no");
        if (r >= 0)
                *ret = TAKE(list);
        return r;
}

static const char *handover_advice(const UnitSetup *s, const UnitUse *use) {
        if (has_socket(s) && !s->non_blocking)
                return "at each start systemd makes the socket blocking for the old instance too; unless the "
                       "app waits in accept(2), say NonBlocking=yes";
        if (!use->asked && !streq(s->type, "notify") && !streq(s->type, "notify-reload"))
                return "a new instance counts as healthy as soon as it runs: use Type=notify, or ask it in "
                       "[Health]";
        return NULL;
}

const char *unit_advice(const UnitSetup *s, const UnitUse *use) {
        if (use->beside)
                return handover_advice(s, use);
        if (use->reload)
                return NULL;
        if (!has_socket(s))
                return "if it listens, clients are refused while it restarts: let systemd hold its socket "
                       "(Sockets=), or use Strategy=handover";
        return loses_socket(s) ? "at its start limit systemd closes its socket; StartLimitIntervalSec=0 "
                                 "keeps it"
                               : NULL;
}

int unit_obstacles(const UnitSetup *s, const UnitUse *use, char ***ret) {
        _cleanup_strv_ char **list = NULL;
        int r;

        r = type_obstacles(s, use, &list);
        if (r >= 0)
                r = kill_obstacles(s, &list);
        if (r >= 0)
                r = directory_obstacles(s, use, &list);
        if (r >= 0)
                r = command_obstacles(s, use, &list);
        if (r >= 0)
                r = socket_obstacle(s, use, &list);
        if (r >= 0)
                r = limit_obstacle(s, use, &list);
        if (r >= 0)
                r = action_obstacle("StartLimitAction", s->start_limit_action, &list);
        if (r >= 0)
                r = action_obstacle("FailureAction", s->failure_action, &list);
        if (r < 0)
                return r;
        *ret = TAKE(list);
        return 0;
}
