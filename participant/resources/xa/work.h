/* What an application does in a branch of a resource manager that is driven through XA.
 *
 * XA has verbs for the ends of a branch and none for the work in it: that is done with
 * the resource manager's own functions, by the thread that the branch is associated with.
 * So a library of yours (or the resource manager's own) exports a function of this type,
 * in C, and the resource's URL names it. It is called on such a thread, between xa_start
 * and xa_end, for each Execute of a client; several threads call it at once, each for a
 * branch of its own, each having called xa_open with this rmid.
 *
 *   int seats_work(int rmid, const char* request, size_t request_length,
 *                  char* reply, size_t reply_capacity, size_t* reply_length);
 *
 * `request` is what the client sent (ExecuteRequest.opaque), in an encoding of yours. The
 * answer goes into `reply`; with anything but CONCORDAT_WORK_DONE it is a text in words
 * that says why.
 *
 * What a thread needs before its first branch (handles, cursors) it gets in two further
 * functions, if the library has them, under the name of the first with _open and _close
 * behind it: after xa_open and before xa_close, outside of any branch, on each thread
 * that ends branches or works in them. Anything but 0 from _open refuses the resource.
 *
 *   int seats_work_open(int rmid);
 *   void seats_work_close(int rmid);
 */
#ifndef PARTICIPANT_RESOURCES_XA_WORK_H_
#define PARTICIPANT_RESOURCES_XA_WORK_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Done. */
#define CONCORDAT_WORK_DONE 0
/* A condition did not hold, and nothing was changed: the branch lives on. */
#define CONCORDAT_WORK_REFUSED 1
/* A lock was lost: the branch is rolled back, the transaction should be run again. */
#define CONCORDAT_WORK_CONFLICT 2
/* It failed: the branch is rolled back. Any other number means the same. */
#define CONCORDAT_WORK_FAILED 3

typedef int concordat_work_function(int rmid, const char* request, size_t request_length,
                                    char* reply, size_t reply_capacity,
                                    size_t* reply_length);
typedef int concordat_work_open_function(int rmid);
typedef void concordat_work_close_function(int rmid);

#ifdef __cplusplus
}
#endif

#endif /* PARTICIPANT_RESOURCES_XA_WORK_H_ */
