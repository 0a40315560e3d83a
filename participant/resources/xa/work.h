/* The work of an application in a branch of a resource manager that is driven through XA.
 *
 * XA has verbs for the ends of a branch and none for the work in it. The work is done
 * with the resource manager's own functions, by the thread that the branch is associated
 * with. So a library of yours (or the resource manager's own) exports a C function of
 * this type, and the resource's URL names it. It is called on such a thread, between
 * xa_start and xa_end, for each Execute of a client. Several threads call it at the same
 * time, each for another branch; each of them has called xa_open with this rmid.
 *
 *   int seats_work(int rmid, const char* request, size_t request_length,
 *                  char* reply, size_t reply_capacity, size_t* reply_length);
 *
 * `request` is what the client sent (ExecuteRequest.opaque), in your own encoding. The
 * function writes the answer into `reply`. If it does not return CONCORDAT_WORK_DONE, the
 * answer is a text for the client that says why.
 *
 * Two more functions may prepare what a thread needs before its first branch (handles,
 * cursors). Their names are that of the work function followed by _open and _close. They
 * are called, if the library has them, after xa_open and before xa_close, outside of any
 * branch, on each thread that works in branches or ends them. If _open does not return 0,
 * the resource is refused.
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
/* A condition did not hold, and nothing was changed: the branch stays active. */
#define CONCORDAT_WORK_REFUSED 1
/* A lock was lost: the branch is rolled back; the transaction should be run again. */
#define CONCORDAT_WORK_CONFLICT 2
/* The work failed: the branch is rolled back. Any other number means the same. */
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
