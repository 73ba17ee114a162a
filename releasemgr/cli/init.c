/* init: from nothing to a host that can activate a release. Writes what is missing and never what is there. */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/prefix.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/session.h"
#include "cli/unit-text.h"
#include "cli/verbs.h"
#include "host/unit.h"
#include "store/store.h"
#include "trust/metadata.h"

#define ROOT_MAX (512 * KIB)

typedef struct Init {
        Session *session;
        const Arguments *arguments;
        const char *app;
        char *root; /* the trusted one; owned */
        size_t root_size;
        bool units_changed;
        char **enable; /* units to be started at boot; owned */
} Init;

static void init_clear(Init *i) {
        strv_free(i->enable);
        free(i->root);
}

static void say(const Init *i, const char *what, const char *path) {
        if (screen_is_json(i->session->screen)) {
                json_t *j = json_pack("{ss ss}", "did", what, "path", path);

                if (j)
                        screen_json(i->session->screen, j);
                json_decref(j);
        } else
                printf("%-8s %s\n", what, path);
}

/* Writes a file that is not there yet. 1 where it was written. */
static int write_new(Init *i, const char *path, const char *text, size_t size, Error *e) {
        int r;

        if (fs_exists(AT_FDCWD, path)) {
                say(i, "kept", path);
                return 0;
        }
        r = fs_write_file_atomic(AT_FDCWD, path, text, size, 0644);
        if (r < 0)
                return error_errno(e, r, "cannot write %s", path);
        say(i, "wrote", path);
        return 1;
}

static int make_directory(Init *i, const char *path, Error *e) {
        bool there = fs_exists(AT_FDCWD, path);
        int r = fs_mkdir_parents(AT_FDCWD, path, 0755);

        if (r < 0)
                return error_errno(e, r, "cannot make %s", path);
        say(i, there ? "kept" : "made", path);
        return 0;
}

/* The options that become values of the new configuration. */
static const struct {
        const char *section, *key, *option;
} given[] = {
                {"Repository", "Url", "url"},
                {"Repository", "Channel", "channel"},
                {"Service", "Unit", "unit"},
                {"Service", "Strategy", "strategy"},
                {"Health", "Url", "health"},
                {"Health", "Socket", "health-socket"},
};

/* The value that a key gets in the new configuration, or NULL: it is shown as a comment. */
static const char *given_value(const Init *i, const char *section, const char *key) {
        for (size_t n = 0; n < ELEMENTS_OF(given); n++)
                if (streq(section, given[n].section) && streq(key, given[n].key))
                        return arguments_option(i->arguments, given[n].option);
        return NULL;
}

/* Values of the configuration that is there already, against those given. */
typedef struct Comparison {
        const Init *init;
        bool same[ELEMENTS_OF(given)];
} Comparison;

static int compare_entry(const IniEntry *entry, void *userdata, Error *e _unused_) {
        Comparison *c = userdata;

        for (size_t n = 0; n < ELEMENTS_OF(given); n++)
                if (streq(entry->section, given[n].section) && streq(entry->key, given[n].key))
                        c->same[n] = streq_ptr(
                                        entry->value, arguments_option(c->init->arguments, given[n].option));
        return 0;
}

/* A configuration that is there is kept: what is asked for and not in it would be ignored in silence. */
static int check_kept(const Init *i, const char *config, Error *e) {
        Comparison c = {.init = i};
        int r;

        r = ini_read_with_dropins(config, compare_entry, &c, e);
        for (size_t n = 0; r >= 0 && n < ELEMENTS_OF(given); n++) {
                const char *value = arguments_option(i->arguments, given[n].option);

                if (!value || c.same[n])
                        continue;
                r = error_set(e, ERROR_USAGE, -EEXIST, "%s is there already, without %s=%s in [%s]", config,
                                given[n].key, value, given[n].section);
                r = error_hint(e, r, "edit it, or leave --%s out: init never changes what is there",
                                given[n].option);
        }
        return r;
}

/* Every key, with its meaning and default: the file is its own reference. */
static int format_config(const Init *i, Text *t) {
        const char *section = "";
        const ConfigKey *k;
        int r;

        r = text_addf(t, "# releasemgr, %s. Keys that are commented out show their defaults.\n", i->app);
        for (size_t n = 0; r >= 0 && (k = config_key(n)); n++) {
                const char *value = given_value(i, k->section, k->key);

                if (!streq(section, k->section))
                        r = text_addf(t, "\n[%s]\n", k->section);
                section = k->section;
                if (r >= 0)
                        r = text_addf(t, "# %s\n%s%s=%s\n", k->help, value ? "" : "#", k->key,
                                value ?: k->otherwise ?: "");
        }
        return r;
}

/* The path of a file in /etc/releasemgr, named after the app. Owned by the caller. */
static char *config_path(const Init *i, const char *suffix) {
        _cleanup_free_ char *file = text_format("%s%s", i->app, suffix);

        return file ? prefix_path(i->session->root, PREFIX_CONFIG, file, NULL) : NULL;
}

static int write_config(Init *i, Error *e) {
        _cleanup_free_ char *path = config_path(i, ".conf");
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        if (!path || format_config(i, &t) < 0)
                return -ENOMEM;
        r = write_new(i, path, t.data, t.size, e);
        return MIN_OF(r, 0);
}

/* A root that does not even sign itself would be refused by the first refresh: better now. */
static int root_check(const char *name, const char *data, size_t size, Error *e) {
        _cleanup_(metadata_free_p) Metadata *m = NULL;
        int r;

        r = metadata_parse(name, METADATA_ROOT, data, size, &m, e);
        return r < 0 ? r : metadata_verify(m, metadata_root_role(m, METADATA_ROOT), e);
}

/* As with the configuration: another root than the one that is there is not taken in its place. */
static int check_kept_root(const Init *i, const char *path, Error *e) {
        _cleanup_free_ char *kept = NULL;
        size_t size;
        int r;

        r = fs_read_file(AT_FDCWD, path, ROOT_MAX, &kept, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return error_errno(e, r, "cannot read the trusted root %s", path);
        if (size == i->root_size && memcmp(kept, i->root, size) == 0)
                return 0;
        r = error_set(e, ERROR_USAGE, -EEXIST, "%s is there already, and is another root", path);
        return error_hint(e, r,
                        "leave --trust out, or move the old root and its metadata away: init never "
                        "changes what is there");
}

/* A socket is written beside the unit that takes it, or not at all. */
static int check_listen(const Init *i, Error *e) {
        if (!arguments_option(i->arguments, "listen") || arguments_option(i->arguments, "exec"))
                return 0;
        error_set(e, ERROR_USAGE, -EINVAL, "init %s: --listen without --exec", i->app);
        return error_hint(e, -EINVAL,
                        "say what takes the socket with --exec; for units of your own, write the socket "
                        "beside them and name it with Sockets=");
}

/* What is given must be good, and what is not given must be there already: before anything is made. */
static int check_inputs(Init *i, Error *e) {
        const char *trust = arguments_option(i->arguments, "trust");
        _cleanup_free_ char *config = config_path(i, ".conf"), *root = config_path(i, ".root.json");
        int r = 0;

        if (!config || !root)
                return -ENOMEM;
        if (fs_exists(AT_FDCWD, config))
                r = check_kept(i, config, e);
        else if (!arguments_option(i->arguments, "url")) {
                error_set(e, ERROR_USAGE, -EINVAL, "init %s: --url is missing", i->app);
                return error_hint(e, -EINVAL,
                                "say where the repository is, such as --url=https://releases.example.com/");
        }
        if (r >= 0)
                r = check_listen(i, e);
        if (r < 0)
                return r;
        if (!trust && !fs_exists(AT_FDCWD, root)) {
                error_set(e, ERROR_USAGE, -EINVAL, "init %s: --trust is missing", i->app);
                return error_hint(e, -EINVAL,
                                "copy the repository's metadata/1.root.json here by a way you trust, and "
                                "name it with --trust=FILE");
        }
        if (!trust)
                return 0;
        r = fs_read_file(AT_FDCWD, trust, ROOT_MAX, &i->root, &i->root_size);
        if (r < 0)
                return error_errno(e, r, "cannot read the trusted root %s", trust);
        r = root_check(trust, i->root, i->root_size, e);
        return r < 0 ? r : check_kept_root(i, root, e);
}

/* The first trusted root, which the operator got by a way he trusts. */
static int write_root(Init *i, Error *e) {
        _cleanup_free_ char *path = config_path(i, ".root.json");
        int r;

        if (!path)
                return -ENOMEM;
        r = i->root ? write_new(i, path, i->root, i->root_size, e) : 0;
        return MIN_OF(r, 0);
}

/* Writes the unit @name with @text (taken over; NULL: memory ran out), and remembers it to be enabled. */
static int write_unit(Init *i, const char *name, char *text, bool enable, Error *e) {
        _cleanup_free_ char *owned = text, *path = prefix_path(i->session->root, PREFIX_UNITS, name, NULL);
        int r;

        if (!owned || !path)
                return -ENOMEM;
        r = write_new(i, path, owned, strlen(owned), e);
        if (r <= 0)
                return r;
        i->units_changed = true;
        return enable ? strv_add(&i->enable, name) : 0;
}

static int write_socket(Init *i, const UnitOptions *o, Error *e) {
        _cleanup_free_ char *socket = text_format("%s.socket", i->app);

        return socket ? write_unit(i, socket, unit_text_socket(o), true, e) : -ENOMEM;
}

static int write_each_unit(Init *i, const Config *c, const char *program, Error *e) {
        _cleanup_free_ char *apps = prefix_path("", PREFIX_APPS, NULL),
                            *entry = text_format("%s.service", i->app);
        bool handover = streq(c->strategy, "handover");
        const UnitOptions o = {.app = i->app,
                        .apps = apps,
                        .exec = arguments_option(i->arguments, "exec"),
                        .type = arguments_option(i->arguments, "type"),
                        .user = arguments_option(i->arguments, "user"),
                        .listen = arguments_option(i->arguments, "listen"),
                        .service = handover ? entry : c->unit,
                        .program = program};
        int r;

        if (!apps || !entry)
                return -ENOMEM;
        r = o.listen ? write_socket(i, &o, e) : 0;
        if (r < 0)
                return r;
        if (!handover)
                return write_unit(i, c->unit, unit_text_service(&o), true, e);
        r = write_unit(i, c->unit, unit_text_template(&o), false, e);
        return r < 0 ? r : write_unit(i, entry, unit_text_entry(&o), true, e);
}

/* The app's own units, where --exec says what they run. */
static int write_units(Init *i, const Config *c, Error *e) {
        _cleanup_free_ char *program = NULL;
        int r;

        if (!arguments_option(i->arguments, "exec"))
                return 0;
        r = fs_readlink(AT_FDCWD, "/proc/self/exe", &program);
        if (r < 0)
                return error_errno(e, r, "cannot find out where this program is");
        return write_each_unit(i, c, program, e);
}

static int make_directories(Init *i, Error *e) {
        _cleanup_free_ char *config = prefix_path(i->session->root, PREFIX_CONFIG, NULL);
        _cleanup_free_ char *store = prefix_path(i->session->root, PREFIX_APPS, i->app, NULL);
        _cleanup_free_ char *state = prefix_path(i->session->root, PREFIX_STATE, i->app, NULL);
        _cleanup_(store_free_p) Store *s = NULL;
        int r;

        if (!config || !store || !state)
                return -ENOMEM;
        r = make_directory(i, config, e);
        if (r >= 0)
                r = make_directory(i, store, e);
        if (r >= 0)
                r = make_directory(i, state, e);
        return r < 0 ? r : store_open(store, true, &s, e);
}

/* Tells systemd of the new units, and has them started at boot. Not below another root: there nobody runs. */
static int enable_units(Init *i, Error *e) {
        _cleanup_(bus_free_p) Bus *bus = NULL;
        int r;

        if (!i->units_changed || *i->session->root)
                return 0;
        r = bus_new(i->session->event, &bus, e);
        if (r >= 0 && i->enable)
                r = manager_enable(bus, i->enable, e);
        if (r >= 0)
                r = manager_reload(bus, e);
        for (char **u = i->enable; r >= 0 && u && *u; u++)
                say(i, "enabled", *u);
        return r;
}

static int init_app(Init *i, Error *e) {
        _cleanup_(config_free_p) Config *config = NULL;
        int r;

        r = check_inputs(i, e);
        if (r >= 0)
                r = make_directories(i, e);
        if (r >= 0)
                r = write_root(i, e);
        if (r >= 0)
                r = write_config(i, e);
        if (r >= 0)
                r = config_load(i->session->root, i->app, &config, e);
        if (r >= 0)
                r = write_units(i, config, e);
        return r < 0 ? r : enable_units(i, e);
}

int verb_init(Session *s, const Arguments *a, Error *e) {
        _cleanup_(init_clear) Init i = {.session = s, .arguments = a, .app = a->positional[0]};

        if (!version_is_valid(i.app))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "\"%s\" cannot be an app's name: expected letters, digits, . - _", i.app);
        return init_app(&i, e);
}
