#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/audit-internal.h"
#include "trust/canonical.h"

#define SIGNATURE_MAX 2048

int audit_add(Audit *a, ErrorClass class, bool warning, const char *file, const char *format, ...) {
        AuditReport *report = a->report;
        char *text = NULL, *copy;
        Finding *grown;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                return -ENOMEM;
        copy = strdup(file);
        grown = reallocarray(report->findings, report->n + 1, sizeof(Finding));
        if (grown)
                report->findings = grown;
        if (!copy || !grown) {
                free(copy);
                free(text);
                return -ENOMEM;
        }
        report->findings[report->n++] =
                        (Finding){.class = class, .warning = warning, .file = copy, .text = text};
        return 0;
}

AuditReport *audit_report_free(AuditReport *a) {
        for (size_t i = 0; a && i < a->n; i++) {
                free(a->findings[i].file);
                free(a->findings[i].text);
        }
        if (a)
                free(a->findings);
        free(a);
        return NULL;
}

static int check_expiry(Audit *a, const char *file, const Metadata *m) {
        uint64_t expires = metadata_expires(m), now = a->repository->now_usec;
        char text[CLOCK_TEXT_MAX], span[CLOCK_TEXT_MAX];

        a->report->expires_usec = MIN_OF(a->report->expires_usec, expires);
        (void) clock_to_text(expires, text);
        if (expires <= now)
                return audit_add(a, ERROR_REFUSED, false, file, "expired %s: no host takes anything new",
                                text);
        if (expires - now < a->soon_usec)
                return audit_add(a, ERROR_NONE, true, file, "expires in %s, %s",
                                span_to_text(expires - now, span), text);
        return 0;
}

/* One signature: by a key of the role, and good; or else what is the matter with it. */
static int check_signature(
                Audit *a, const char *file, const Role *role, const json_t *entry, const Text *canonical) {
        const char *keyid = json_get_string(entry, "keyid"), *sig = json_get_string(entry, "sig");
        _cleanup_(public_key_free_p) PublicKey *key = NULL;
        uint8_t signature[SIGNATURE_MAX];
        size_t size = strlen(sig) / 2;
        int k;

        a->report->signatures++;
        k = role_key(role, keyid, &key);
        if (k == -ENOMEM)
                return k;
        if (k < 0)
                return 0; /* during a change of keys, and on a team's first file, by another's: it counts for nothing */
        if (size > sizeof(signature) || hex_decode(sig, signature, size) < 0)
                k = 0;
        else
                k = public_key_verify(key, canonical->data, canonical->size, signature, size);
        if (k != 0)
                return MIN_OF(k, 0);
        return audit_add(a, ERROR_UNTRUSTED, false, file, "the signature by key %s is wrong", keyid);
}

/* Every signature of @m, which @holder says who signs. */
static int check_signatures(
                Audit *a, const char *file, const Metadata *m, const Metadata *holder, const char *role) {
        json_t *keys, *entry = draft_role(metadata_signed(holder), role, &keys), *signature;
        _cleanup_(role_free_p) Role *as_role = NULL;
        _cleanup_text_ Text canonical = TEXT_INIT;
        size_t i;
        int k;

        if (!entry)
                return 0;
        k = role_from_json(role, entry, keys, &as_role, NULL);
        if (k >= 0)
                k = canonical_write(metadata_signed(m), &canonical);
        json_array_foreach(json_object_get(metadata_json(m), "signatures"), i, signature)
                if (k >= 0)
                        k = check_signature(a, file, as_role, signature, &canonical);
        if (k >= 0)
                k = metadata_verify(m, as_role, NULL);
        if (k == -EBADMSG)
                return audit_add(a, ERROR_UNTRUSTED, false, file, "has too few good signatures of role %s",
                                role);
        return k;
}

static int check_file(Audit *a, const Metadata *m, const Metadata *holder, const char *role) {
        _cleanup_free_ char *file = text_format("metadata/%s", metadata_name(m));
        int k;

        if (!file)
                return -ENOMEM;
        a->report->metadata_files++;
        k = check_signatures(a, file, m, holder, role);
        return k < 0 ? k : check_expiry(a, file, m);
}

/* Roots that were followed by another may have expired: only the last one counts (5.3.10). */
static int check_roots(Audit *a) {
        Repository *r = a->repository;
        int k = 0;

        for (size_t i = 0; i + 1 < r->n_roots && k >= 0; i++) {
                _cleanup_free_ char *file = text_format("metadata/%s", metadata_name(r->roots[i]));

                if (!file)
                        return -ENOMEM;
                a->report->metadata_files++;
                k = check_signatures(a, file, r->roots[i], r->roots[i], "root");
                if (k >= 0 && i > 0)
                        k = check_signatures(a, file, r->roots[i], r->roots[i - 1], "root");
        }
        return k < 0 ? k : check_file(a, repository_root(r), repository_root(r), "root");
}

static int check_pending(Audit *a, const RoleFile *f) {
        _cleanup_free_ char *file = text_format("pending/%s.json", f->role);

        if (!file)
                return -ENOMEM;
        return f->pending ? audit_add(a, ERROR_NONE, true, file,
                                            "waits for signatures: releasemgr repo sign --review shows it")
                          : 0;
}

static int check_metadata(Audit *a) {
        Repository *r = a->repository;
        const Metadata *root = repository_root(r);
        int k;

        if ((k = check_roots(a)) < 0 || (k = check_pending(a, &r->root)) < 0)
                return k;
        if (r->timestamp && (k = check_file(a, r->timestamp, root, "timestamp")) < 0)
                return k;
        if (r->snapshot && (k = check_file(a, r->snapshot, root, "snapshot")) < 0)
                return k;
        for (size_t i = 0; i < r->n_roles && k >= 0; i++) {
                const RoleFile *f = &r->roles[i];

                if (f->metadata)
                        k = check_file(a, f->metadata, repository_holder(r, f->role), f->role);
                else if (!f->pending)
                        k = audit_add(a, ERROR_NONE, true, "metadata",
                                        "the role %s has not signed anything yet", f->role);
                if (k >= 0)
                        k = check_pending(a, f);
        }
        if (k >= 0)
                k = repository_online_is_current(r);
        if (k != 0)
                return MIN_OF(k, 0);
        return audit_add(a, ERROR_NONE, true, "metadata/timestamp.json",
                        "does not name what is newest: releasemgr repo refresh makes it known");
}

int repository_audit(Repository *r, uint64_t soon_usec, AuditReport **ret, Error *e) {
        _cleanup_(audit_report_free_p) AuditReport *report = calloc(1, sizeof(*report));
        _cleanup_json_ json_t *known = json_object();
        Audit a = {.repository = r, .report = report, .known = known, .soon_usec = soon_usec};
        int k;

        if (!report || !known)
                return -ENOMEM;
        report->expires_usec = UINT64_MAX;
        if ((k = check_metadata(&a)) < 0 || (k = audit_as_client(&a, e)) < 0 ||
                        (k = audit_orphans(&a, e)) < 0)
                return k;
        *ret = TAKE(report);
        return 0;
}
