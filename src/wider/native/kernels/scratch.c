#include "scratch.h"

#include <stdlib.h>

#ifdef _WIN32
#include <windows.h>
#define CALLED_AT_EXIT WINAPI
#else
#include <pthread.h>
#define CALLED_AT_EXIT
#endif

#define LINE 64

static _Thread_local char *memory;
static _Thread_local size_t size;

static void CALLED_AT_EXIT release(void *block) { free(block); }

/* Has the block freed when its thread ends. */
#ifdef _WIN32
static DWORD key = FLS_OUT_OF_INDEXES;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK make_key(PINIT_ONCE self, PVOID unused, PVOID *context) {
    (void)self, (void)unused, (void)context;
    key = FlsAlloc(release);
    return TRUE;
}

static void keep(void *block) {
    InitOnceExecuteOnce(&once, make_key, NULL, NULL);
    FlsSetValue(key, block);
}
#else
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void) { pthread_key_create(&key, release); }

static void keep(void *block) {
    pthread_once(&once, make_key);
    pthread_setspecific(key, block);
}
#endif

float *scratch(int64_t count) {
    size_t wanted = (size_t)count * sizeof(float) + LINE;
    if (wanted > size) {
        free(memory);
        memory = malloc(wanted);
        size = memory ? wanted : 0;
        keep(memory);
        if (!memory) return NULL;
    }
    return (float *)(((uintptr_t)memory + LINE - 1) / LINE * LINE);
}
