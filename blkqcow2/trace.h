/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM qcow2

#if !defined(_QCOW2_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _QCOW2_TRACE_H

#include <linux/tracepoint.h>

#define QCOW2_STEP_BYTES	16

/* What happens to a device on its way from live to frozen, and back. */
TRACE_EVENT(qcow2_window,
	TP_PROTO(int index, u64 window, const char *step, int ret),
	TP_ARGS(index, window, step, ret),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u64, window)
		__array(char, step, QCOW2_STEP_BYTES)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->window = window;
		strscpy(__entry->step, step, QCOW2_STEP_BYTES);
		__entry->ret = ret;
	),
	TP_printk("qcow2%d window %llu %s ret %d", __entry->index,
		  __entry->window, __entry->step, __entry->ret)
);

#endif /* _QCOW2_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
