/* SPDX-License-Identifier: MIT */
/*
 * weft/weft.h - everything of weft but weft/job.h, which is for `weft map` jobs
 */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/alloc.h>
#include <weft/buf.h>
#include <weft/channel.h>
#include <weft/error.h>
#include <weft/exec.h>
#include <weft/fork.h>
#include <weft/info.h>
#include <weft/interop.h>
#include <weft/io.h>
#include <weft/local.h>
#include <weft/offload.h>
#include <weft/process.h>
#include <weft/rate.h>
#include <weft/remote.h>
#include <weft/runtime.h>
#include <weft/scope.h>
#include <weft/sink.h>
#include <weft/sort.h>
#include <weft/stream.h>
#include <weft/sync.h>
#include <weft/task.h>
#include <weft/time.h>
#include <weft/version.h>
#include <weft/wait.h>

#endif
