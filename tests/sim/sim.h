/**
 * frunsim: a stand-in for SAP Focused Run in demo and tests.
 *
 * One blocking thread per connection on OpenSSL, because that gives exact control over what goes
 * wrong and when. It never faces strangers. Bodies are hashed while they pass and never kept whole.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_TESTS_SIM_H
#define FRUN_TESTS_SIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>

#define SIM_MAX_FENCES      256
#define SIM_MAX_HEAD_BYTES  131072
#define SIM_MAX_FIELDS      512
#define SIM_MAX_CONNECTIONS 4096
#define SIM_SHOWN_BYTES     4096

/** A fence value and the customer network it stands for. */
struct sim_fence {
    const char *network; /**< "ACME PROD" */
    const char *value;   /**< admin request parameter */
};

/** What the command line said. */
struct sim_options {
    const char *listen;                      /**< ADDR:PORT */
    const char *certificate;                 /**< PEM chain */
    const char *private_key;                 /**< PEM key */
    const char *client_ca;                   /**< client certificates are asked for if given */
    const char *user;                        /**< technical user; NULL: no logon */
    const char *password;                    /**< its password */
    const char *fence_header;                /**< field that carries the fence */
    const char *fence_query;                 /**< query parameter that carries it */
    const char *system_id;                   /**< "FR1" */
    const char *client;                      /**< "100" */
    const char *record;                      /**< JSON lines go here, or NULL */
    const char *fault;                       /**< faults of every request, or NULL */
    size_t keep;                             /**< requests remembered */
    unsigned idle_s;                         /**< keep-alive */
    bool is_plain;                           /**< HTTP instead of HTTPS */
    bool wants_csrf;                         /**< POST and PUT need the token */
    size_t n_fences;                         /**< count */
    struct sim_fence fences[SIM_MAX_FENCES]; /**< customer networks */
};

/** What frunsim is. Options are immutable; the store is shared under its lock. */
struct sim {
    struct sim_options opt;       /**< command line */
    SSL_CTX *tls;                 /**< NULL with --plain */
    char token[33];               /**< X-CSRF-Token and session */
    pthread_mutex_t lock;         /**< guards the fields below */
    json_t *received;             /**< newest last */
    uint64_t n_received;          /**< since the start */
    int record_fd;                /**< or -1 */
    int fds[SIM_MAX_CONNECTIONS]; /**< open connections, -1 free */
    unsigned n_connections;       /**< running threads */
    pthread_cond_t idle;          /**< n_connections fell to 0 */
    atomic_bool is_stopping;      /**< no further request is read */
};

/** One connection; owned by its thread. */
struct wire {
    int fd;            /**< socket */
    SSL *ssl;          /**< NULL: plain */
    unsigned number;   /**< of the connection, from 1 */
    unsigned requests; /**< read on it so far */
    char peer[64];     /**< address text */
    size_t head;       /**< first unread octet of in */
    size_t tail;       /**< one past the last */
    char in[16384];    /**< read ahead */
};

/** A request's head, NUL-terminated pieces of its own memory. */
struct request {
    char *memory;  /**< what the others point into */
    char *method;  /**< GET */
    char *target;  /**< as sent */
    char *path;    /**< before '?' */
    char *query;   /**< behind it, "" if none */
    char *version; /**< HTTP/1.1 */
    size_t n;      /**< fields */
    struct {
        char *name;           /**< as sent */
        char *value;          /**< without blanks around */
    } fields[SIM_MAX_FIELDS]; /**< in order */
};

/** What is known of a body when it has passed. */
struct body {
    uint64_t bytes;                      /**< content octets as received */
    uint64_t decoded_bytes;              /**< after gunzip, or the same */
    bool is_complete;                    /**< not cut off, gzip well formed */
    char sha256[65];                     /**< of the octets as received */
    size_t shown;                        /**< octets in text */
    unsigned char text[SIM_SHOWN_BYTES]; /**< beginning, decoded */
};

/** What is to go wrong. */
struct fault {
    unsigned status;      /**< 0: as usual */
    unsigned delay_ms;    /**< before the answer */
    unsigned headers;     /**< additional fields in the answer */
    bool is_reset;        /**< RST after reading the request */
    bool is_reset_early;  /**< RST after its head */
    bool is_half;         /**< Content-Length promises more than comes */
    bool is_close;        /**< closed after the answer without saying so */
    bool is_chunked;      /**< answer is chunked */
    bool is_gzip;         /**< answer is compressed */
    bool is_early;        /**< answer before the body is read, then close */
    bool is_hinted;       /**< 103 before the answer */
    bool has_big;         /**< big is given */
    uint64_t big;         /**< octets of the answer */
    uint64_t slow_read;   /**< octets per second, 0: at once */
    uint64_t slow_answer; /**< octets per second, 0: at once */
    char location[1024];  /**< Location field, "" none */
    char raw[4096];       /**< sent instead of an answer, "" none */
};

/* sim_wire.c */

/** Read more; at most what fits. @param w connection @return octets, 0 or less at the end. */
int wire_fill(struct wire *w);

/** Write all. @param w connection @param p octets @param n count @return false if it broke. */
bool wire_write(struct wire *w, const void *p, size_t n);

/** Write all, at most @p rate octets a second. @param w connection @param p octets @param n count
 * @param rate 0: at once @return false if it broke. */
bool wire_write_paced(struct wire *w, const void *p, size_t n, uint64_t rate);

/** Close later without TLS' close_notify. @param w connection. */
void wire_cut(struct wire *w);

/** Close with RST. @param w connection. */
void wire_reset(struct wire *w);

/** Read a head. @param w connection @param r filled @return 1 read; 0 the peer ended or idle; -1
 * malformed or too long. */
int request_read(struct wire *w, struct request *r);

/** Free what a head points into. @param r head. */
void request_done(struct request *r);

/** First field of that name ('_' equals '-', no case). @param r head @param name name @param n out:
 * how many, may be NULL @return value or NULL. */
const char *request_field(const struct request *r, const char *name, size_t *n);

/** Read a body. @param w connection @param r head @param rate octets a second, 0: at once @param b
 * filled @return false if the connection cannot go on. */
bool body_read(struct wire *w, const struct request *r, uint64_t rate, struct body *b);

/** No sleep from now on: frunsim ends. */
void sim_wake(void);

/** Sleep. @param ms milliseconds. */
void sim_sleep(unsigned ms);

/* sim_text.c */

/** Equal, no case, '_' equals '-'? @param a one @param b other @return true if so. */
bool text_same_name(const char *a, const char *b);

/** Undo percent escapes in place ('+' stays). @param s text. */
void text_unescape(char *s);

/** Octets as a JSON string; what is not UTF-8 is taken for Latin-1. @param p octets @param n count
 * @return new reference. */
json_t *text_json(const void *p, size_t n);

/** Digits with optional K, M, G. @param s text @param out number @return false if malformed. */
bool text_size(const char *s, uint64_t *out);

/** User of a Basic field. @param value field value @param out "user:password" decoded @param room
 * octets in @p out @return false if it is not Basic. */
bool text_basic(const char *value, char *out, size_t room);

/** Values of a query parameter. @param query raw @param name decoded name @param value last one,
 * decoded @param room octets in @p value @return how many. */
size_t text_query(const char *query, const char *name, char *value, size_t room);

/** Understand a fault list. @param spec "status:503,delay:2s" @param f added to @return false:
 * unknown word. */
bool fault_parse(const char *spec, struct fault *f);

/* sim_serve.c */

/** Serve a connection until it ends. @param s frunsim @param w connection. */
void sim_serve(struct sim *s, struct wire *w);

/* sim_store.c */

/** What one request was, for those who look later. */
struct receipt {
    const struct wire *wire;   /**< came on it */
    const struct request *req; /**< head */
    const struct body *body;   /**< body */
    const char *network;       /**< customer network, or NULL */
    unsigned status;           /**< our answer; 0: none was sent */
};

/** Keep a request. @param s frunsim @param r what came. */
void store_add(struct sim *s, const struct receipt *r);

/** All kept requests as JSON text. @param s frunsim @return text to free, or NULL. */
char *store_text(struct sim *s);

/** All kept requests for a person. @param s frunsim @return text to free, or NULL. */
char *store_plain_text(struct sim *s);

/** Forget all. @param s frunsim. */
void store_clear(struct sim *s);

#endif
