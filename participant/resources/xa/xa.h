/* The C interface between a transaction manager and a resource manager's library, as
 * specified by X/Open: CAE Specification "Distributed Transaction Processing: The XA
 * Specification", 1991, chapter 4 and appendix A. Numbers and names are those of the
 * specification. ax_reg and ax_unreg (dynamic registration) are left out, because
 * switches that use them are refused.
 */
#ifndef PARTICIPANT_RESOURCES_XA_XA_H_
#define PARTICIPANT_RESOURCES_XA_XA_H_

#ifdef __cplusplus
extern "C" {
#endif

#define XIDDATASIZE 128 /* bytes of data */
#define MAXGTRIDSIZE 64 /* of the first part, gtrid */
#define MAXBQUALSIZE 64 /* of the second part, bqual */

struct xid_t {
  long formatID; /* -1: none */
  long gtrid_length;
  long bqual_length;
  char data[XIDDATASIZE];
};
typedef struct xid_t XID;

#define RMNAMESZ 32     /* of a name, including its final zero */
#define MAXINFOSIZE 256 /* of an open or close string, including its final zero */

struct xa_switch_t {
  char name[RMNAMESZ];
  long flags;
  long version; /* 0 */
  int (*xa_open_entry)(char* info, int rmid, long flags);
  int (*xa_close_entry)(char* info, int rmid, long flags);
  int (*xa_start_entry)(XID* xid, int rmid, long flags);
  int (*xa_end_entry)(XID* xid, int rmid, long flags);
  int (*xa_rollback_entry)(XID* xid, int rmid, long flags);
  int (*xa_prepare_entry)(XID* xid, int rmid, long flags);
  int (*xa_commit_entry)(XID* xid, int rmid, long flags);
  int (*xa_recover_entry)(XID* xids, long count, int rmid, long flags);
  int (*xa_forget_entry)(XID* xid, int rmid, long flags);
  int (*xa_complete_entry)(int* handle, int* retval, int rmid, long flags);
};

/* Flags of a switch. */
#define TMNOFLAGS 0x00000000L
#define TMREGISTER 0x00000001L  /* the switch registers dynamically */
#define TMNOMIGRATE 0x00000002L /* branches stay with their thread */
#define TMUSEASYNC 0x00000004L

/* Flags of calls. */
#define TMASYNC 0x80000000L
#define TMONEPHASE 0x40000000L
#define TMFAIL 0x20000000L
#define TMNOWAIT 0x10000000L
#define TMRESUME 0x08000000L
#define TMSUCCESS 0x04000000L
#define TMSUSPEND 0x02000000L
#define TMSTARTRSCAN 0x01000000L
#define TMENDRSCAN 0x00800000L
#define TMMULTIPLE 0x00400000L
#define TMJOIN 0x00200000L
#define TMMIGRATE 0x00100000L

/* What calls return. */
#define XA_RBBASE 100
#define XA_RBROLLBACK 100 /* rolled back, without a reason */
#define XA_RBCOMMFAIL 101
#define XA_RBDEADLOCK 102
#define XA_RBINTEGRITY 103
#define XA_RBOTHER 104
#define XA_RBPROTO 105
#define XA_RBTIMEOUT 106
#define XA_RBTRANSIENT 107 /* may be tried again */
#define XA_RBEND 107

#define XA_NOMIGRATE 9
#define XA_HEURHAZ 8
#define XA_HEURCOM 7
#define XA_HEURRB 6
#define XA_HEURMIX 5
#define XA_RETRY 4
#define XA_RDONLY 3
#define XA_OK 0
#define XAER_ASYNC (-2)
#define XAER_RMERR (-3)
#define XAER_NOTA (-4)
#define XAER_INVAL (-5)
#define XAER_PROTO (-6)
#define XAER_RMFAIL (-7)
#define XAER_DUPID (-8)
#define XAER_OUTSIDE (-9)

#ifdef __cplusplus
}
#endif

#endif /* PARTICIPANT_RESOURCES_XA_XA_H_ */
