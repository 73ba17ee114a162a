#include <errno.h>
#include <search.h>

#include "store/links.h"

/* A binary tree, of tsearch(3), by device and inode. */
struct Links {
        void *root;
};

typedef struct Node {
        dev_t device;
        ino_t inode;
        Entry entry;
} Node;

static int compare_nodes(const void *a, const void *b) {
        const Node *x = a, *y = b;

        if (x->device != y->device)
                return x->device < y->device ? -1 : 1;
        return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void free_node(void *node) {
        entry_clear(&((Node *) node)->entry);
        free(node);
}

int links_new(Links **ret) {
        *ret = calloc(1, sizeof(Links));
        return *ret ? 0 : -ENOMEM;
}

Links *links_free(Links *l) {
        if (!l)
                return NULL;
        tdestroy(l->root, free_node);
        free(l);
        return NULL;
}

int links_add(Links *l, const struct stat *st, const Entry *entry) {
        Node *node = calloc(1, sizeof(*node));

        if (!node)
                return -ENOMEM;
        *node = (Node){.device = st->st_dev, .inode = st->st_ino, .entry = *entry};
        node->entry.link = NULL;
        node->entry.path = strdup(entry->path);
        if (!node->entry.path || !tsearch(node, &l->root, compare_nodes)) {
                free_node(node);
                return -ENOMEM;
        }
        return 0;
}

const Entry *links_find(const Links *l, const struct stat *st) {
        Node key = {.device = st->st_dev, .inode = st->st_ino};
        void *found = tfind(&key, &l->root, compare_nodes);

        return found ? &(*(Node **) found)->entry : NULL;
}
