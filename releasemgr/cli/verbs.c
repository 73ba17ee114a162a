/* The one visible table of verbs. Each is a function in a file of its own. */

#include "cli/verbs.h"
#include "cli/repo.h"

/* A table is read in columns. */
/* clang-format off */

const Option global_options[] = {
        {"app", "APP", "The app; may be left out where one is configured"},
        {"root", "DIR", "Work below this directory in place of /"},
        {"json", NULL, "JSON Lines in place of text"},
        {"colour", "WHEN", "auto, always or never"},
        {"help", NULL, "Show this, or the help of a verb"},
        {"version", NULL, "Show the program's version"},
        {0},
};

#define WAIT_OPTION       {"wait", "SPAN", "Wait this long for another deployment to end"}
#define FOREGROUND_OPTION {"foreground", NULL, "Do the work in this process, not in a unit of its own"}
#define VERIFY_OPTION     {"verify", NULL, "Compare the release with what was sealed, first"}
#define LINES_OPTION      {"lines", "N", "How many lines to show"}
#define FOLDER_OPTIONS    {"release", "VERSION", "The migrations of this release, not of the current one"}, \
                          {"folder", "DIR", "The migrations in this folder"}

#define TUF_METADATA_DIR  {"metadata-dir", "DIR", "Where trusted metadata is kept"}
#define TUF_METADATA_URL  {"metadata-url", "URL", "The repository's metadata"}
#define TUF_ROOT_MAX      {"root-max", "BYTES", "The longest root that is taken; 512000"}
#define TUF_LIMITS        TUF_ROOT_MAX, \
                          {"timestamp-max", "BYTES", "The longest timestamp; 16384"}, \
                          {"snapshot-max", "BYTES", "The longest snapshot; 2000000"}, \
                          {"targets-max", "BYTES", "The longest targets of any role; 5000000"}, \
                          {"stall-timeout", "SPAN", "Give up a server that sends next to nothing for so long; 30s"}

const Verb verbs[] = {
        {"activate", "VERSION|latest", 1, 1, "Fetch if needed, migrate, switch, prove, or go back",
         verb_activate, {WAIT_OPTION, FOREGROUND_OPTION}},
        {"rollback", "[VERSION]", 0, 1, "Go to the last release that proved itself",
         verb_rollback, {WAIT_OPTION, FOREGROUND_OPTION, VERIFY_OPTION}},
        {"pull", "", 0, 0, "Activate the channel's version if it is new and not in quarantine",
         verb_pull, {WAIT_OPTION, FOREGROUND_OPTION}},
        {"status", "", 0, 0, "What runs, and what is under way",
         verb_status, {{"follow", NULL, "Follow what is under way to its end; the default on a terminal"}}, .tells = true},
        {"list", "", 0, 0, "The releases that are here or offered",
         verb_list, {{"refresh", NULL, "Ask the repository first"}}, .tells = true},
        {"history", "", 0, 0, "The deployments, the newest first", verb_history, {LINES_OPTION}, .tells = true},
        {"show", "[ID]", 0, 1, "All that is known about one deployment, or the last one", verb_show, .tells = true},
        {"logs", "", 0, 0, "What the service said since it was started", verb_logs, {LINES_OPTION}, .tells = true},
        {"plan", "[VERSION|latest]", 0, 1, "What activate would do",
         verb_plan, {{"fetch", NULL, "Bring the release here first, so that its statements can be shown"}}, .tells = true},
        {"check", "", 0, 0, "Whether a deployment would find what it needs, and the unit suits it", verb_check, .tells = true},
        {"verify", "[VERSION]", 0, 1, "Compare a release with what was sealed", verb_verify, .tells = true},
        {"prune", "", 0, 0, "Remove the releases that need not be kept", verb_prune},
        {"hold", "", 0, 0, "Keep the timer from changing the app", verb_hold, {{"reason", "TEXT", "Why"}}},
        {"unhold", "", 0, 0, "Let the timer follow the channel again", verb_unhold},
        {"pin", "VERSION", 1, 1, "Keep a release on the host", verb_pin},
        {"unpin", "VERSION", 1, 1, "Let prune remove it again", verb_unpin},
        {"quarantine list", "", 0, 0, "The releases that failed on this host", verb_quarantine_list, .tells = true},
        {"quarantine lift", "VERSION", 1, 1, "Allow a release that failed here again", verb_quarantine_lift},
        {"start", "", 0, 0, "Start the release that current names; for the app's own units", verb_start},
        {"recover", "", 0, 0, "Finish or take back what a crash left",
         verb_recover, {WAIT_OPTION,
                        {"boot", NULL, "systemd has not started the service yet: leave it alone"}}},
        {"migrate status", "", 0, 0, "Which migrations ran, what is to come, what changed behind our back",
         verb_migrate_status, {FOLDER_OPTIONS}, .tells = true},
        {"migrate apply", "", 0, 0, "Run the migrations that the release before survives",
         verb_migrate_apply, {FOLDER_OPTIONS}},
        {"migrate contract", "", 0, 0, "Run the migrations that it does not survive",
         verb_migrate_contract, {FOLDER_OPTIONS}},
        {"migrate resolve", "VERSION", 1, 1, "Say whether the statement in doubt took effect",
         verb_migrate_resolve, {{"applied", NULL, "It did"}, {"not-applied", NULL, "It did not"}}},
        {"migrate adopt", "", 0, 0, "Take over the history of golang-migrate, dbmate or Flyway",
         verb_migrate_adopt, {FOLDER_OPTIONS}},
        {"init", "APP", 1, 1, "Make an app's directories, configuration and unit",
         verb_init, {{"url", "URL", "Where the repository is"},
                     {"trust", "FILE", "The repository's first root.json, got by a way you trust"},
                     {"channel", "NAME", "The channel to follow"},
                     {"strategy", "NAME", "restart, reload or handover"},
                     {"listen", "ADDRESS", "What its socket, held by systemd, listens on, such as 8080"},
                     {"health", "URL", "What to ask whether a release is healthy"},
                     {"health-socket", "PATH", "The unix socket to ask it over; %v stands for the version"},
                     {"unit", "NAME", "The service, if it is not APP.service"},
                     {"exec", "COMMAND", "Write a unit that runs this in /opt/APP/current"},
                     {"type", "TYPE", "Its Type=, such as notify"},
                     {"user", "USER", "Its User="}}},
        {"repo init", "", 0, 0, "Make a repository, and its keys",
         verb_repo_init, {REPO_OPTIONS, REPO_KEY_OPTIONS, REPO_EXPIRY_OPTIONS}},
        {"repo publish", "DIR", 1, 1, "Publish a directory as a release",
         verb_repo_publish, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS,
                             {"version", "VERSION", "The release's version"},
                             {"channel", "NAME", "That points at it from now on; stable; \"\": none"},
                             {"commit", "ID", "What it was built from"},
                             {"patches", "N", "Make patches from so many releases before it; 3"}}},
        {"repo promote", "VERSION", 1, 1, "Let a channel point at a release",
         verb_repo_promote, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS, {"channel", "NAME", "The channel"},
          {"patches", "N", "Make patches from so many releases before it; 3"}}},
        {"repo yank", "VERSION", 1, 1, "Withdraw a release",
         verb_repo_yank, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS, {"reason", "TEXT", "Why, for all to read"}}},
        {"repo prune", "", 0, 0, "Remove the patches that lead to old releases, and old files of channels",
         verb_repo_prune, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS,
                           {"keep", "N", "Those to the newest N releases stay, and to where a channel points; 3"}}},
        {"repo push", "s3://BUCKET/PREFIX", 1, 1, "Send to a bucket what is missing there, in the safe order",
         verb_repo_push, {REPO_OPTIONS,
                          {"s3-region", "NAME", "The region of the bucket"},
                          {"s3-endpoint", "URL", "Another S3 server than AWS"},
                          {"s3-path-style", NULL, "The bucket stands in the path, not in the host name"}}},
        {"repo refresh", "", 0, 0, "Sign snapshot and timestamp anew: for a timer, every day",
         verb_repo_refresh, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS,
                             {"role", "ROLE", "And what this role (root, targets, an app) signs"}}},
        {"repo check", "", 0, 0, "Look at every signature, hash, expiry and stray file",
         verb_repo_check, {REPO_OPTIONS, {"within", "SPAN", "Warn of what expires that soon; 3d"}}, .tells = true},
        {"repo rotate", "ROLE", 1, 1, "Replace our key of root, targets, online or an app",
         verb_repo_rotate, {REPO_OPTIONS, REPO_KEY_OPTIONS, REPO_EXPIRY_OPTIONS,
                            {"add", "FILE", "Let this public key sign as well; may be repeated"},
                            {"remove", "KEYID", "Let this key sign no more; may be repeated"},
                            {"threshold", "N", "How many signatures the role needs"}}},
        {"repo delegate", "APP", 1, 1, "Give an app's team a role of its own",
         verb_repo_delegate, {REPO_OPTIONS, REPO_KEY_OPTIONS, REPO_EXPIRY_OPTIONS,
                              {"key", "FILE", "A public key of the team; may be repeated"},
                              {"threshold", "N", "How many signatures the role needs"}}},
        {"repo key", "NAME", 1, 1, "Make a key to sign with, and its public half to give away",
         verb_repo_key, {REPO_OPTIONS, REPO_KEY_OPTIONS}},
        {"repo sign", "", 0, 0, "Show what is pending, and add our signatures",
         verb_repo_sign, {REPO_OPTIONS, REPO_EXPIRY_OPTIONS, {"review", NULL, "Show it only"}}},
        {"tuf init", "ROOT", 1, 1, "Begin a directory of trusted metadata with a first root",
         verb_tuf_init, {TUF_METADATA_DIR, TUF_ROOT_MAX}},
        {"tuf refresh", "", 0, 0, "Bring trusted metadata up to date",
         verb_tuf_refresh, {TUF_METADATA_DIR, TUF_METADATA_URL, TUF_LIMITS}},
        {"tuf download", "", 0, 0, "Refresh, then fetch and verify targets",
         verb_tuf_download, {TUF_METADATA_DIR, TUF_METADATA_URL, TUF_LIMITS,
                             {"target-name", "NAME", "The target; may be repeated"},
                             {"target-dir", "DIR", "Where to put it, under its percent-encoded name"},
                             {"target-base-url", "URL", "The repository's targets"}}},
        {"run", "VERB [VERSION]", 1, 2, "Do the work of a deployment that was submitted",
         verb_run, {WAIT_OPTION, {"id", "ID", "The deployment"}, {"by", "WHO", "Who asked for it"}, VERIFY_OPTION}, true},
        {0},
};
