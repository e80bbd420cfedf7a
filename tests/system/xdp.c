// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command while an XDP program sits in the driver of a network interface. The
 * program counts packets and lets them all pass; it is written in the kernel's own
 * instructions, so that no compiler for it is needed.
 *
 * xdp INTERFACE COMMAND...
 *	prints "packets N", and ends as the command did.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/types.h>

#define INSN(_code, _dst, _src, _off, _imm) \
	((struct bpf_insn){ .code = (_code), .dst_reg = (_dst), .src_reg = (_src), \
			    .off = (_off), .imm = (_imm) })

static int bpf(int command, union bpf_attr *attr, const char *what)
{
	int ret = syscall(__NR_bpf, command, attr, sizeof(*attr));

	if (ret < 0) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
	return ret;
}

/* An array of one number. */
static int make_counter(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(__u32),
		.value_size = sizeof(__u64),
		.max_entries = 1,
	};

	return bpf(BPF_MAP_CREATE, &attr, "BPF_MAP_CREATE");
}

static __u64 read_counter(int counter)
{
	__u64 value = 0;
	__u32 key = 0;
	union bpf_attr attr = {
		.map_fd = counter,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&value,
	};

	bpf(BPF_MAP_LOOKUP_ELEM, &attr, "BPF_MAP_LOOKUP_ELEM");
	return value;
}

/* *lookup(counter, 0) += 1; return XDP_PASS; */
static int load(int counter)
{
	const struct bpf_insn program[] = {
		INSN(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		INSN(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, counter),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1),
		INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)program,
		.insn_cnt = sizeof(program) / sizeof(struct bpf_insn),
		.license = (uintptr_t)"GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr, "BPF_PROG_LOAD");
}

int main(int argc, char **argv)
{
	union bpf_attr link = {};
	int counter, status;
	pid_t child;

	if (argc < 3) {
		printf("usage: xdp INTERFACE COMMAND...\n");
		return 2;
	}
	counter = make_counter();
	link.link_create.prog_fd = load(counter);
	link.link_create.target_ifindex = if_nametoindex(argv[1]);
	link.link_create.attach_type = BPF_XDP;
	link.link_create.flags = XDP_FLAGS_DRV_MODE;
	/* The program goes when this process ends. */
	bpf(BPF_LINK_CREATE, &link, "BPF_LINK_CREATE");

	child = fork();
	if (!child) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	printf("packets %llu\n", (unsigned long long)read_counter(counter));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
