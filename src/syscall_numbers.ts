/**
 * Numbers of the system calls, out of `asm/unistd_64.h` for x86 and arm64 as Linux 7.2 installs them
 * (arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl); older kernels have a part of these. Each row
 * begins with the number of its first name.
 */

/** From 424 on both architectures have the same names and numbers. */
export const SHARED_CALLS = `
  424 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig
  432 fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise
  441 epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset landlock_add_rule
  446 landlock_restrict_self memfd_secret process_mrelease futex_waitv set_mempolicy_home_node cachestat
  452 fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr
  460 lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat
  467 open_tree_attr file_getattr file_setattr listns rseq_slice_yield
`;

export const X86_64_CALLS = `
    0 read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask
   15 rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore
   28 madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile socket
   42 connect accept sendto recvfrom sendmsg recvmsg shutdown bind listen getsockname getpeername socketpair
   54 setsockopt getsockopt clone fork vfork execve exit wait4 kill uname semget semop semctl shmdt msgget
   69 msgsnd msgrcv msgctl fcntl flock fsync fdatasync truncate ftruncate getdents getcwd chdir fchdir
   82 rename mkdir rmdir creat link unlink symlink readlink chmod fchmod chown fchown lchown umask
   96 gettimeofday getrlimit getrusage sysinfo times ptrace getuid syslog getgid setuid setgid geteuid
  108 getegid setpgid getppid getpgrp setsid setreuid setregid getgroups setgroups setresuid getresuid
  119 setresgid getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending rt_sigtimedwait
  129 rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod uselib personality ustat statfs fstatfs sysfs
  140 getpriority setpriority sched_setparam sched_getparam sched_setscheduler sched_getscheduler
  146 sched_get_priority_max sched_get_priority_min sched_rr_get_interval mlock munlock mlockall munlockall
  153 vhangup modify_ldt pivot_root _sysctl prctl arch_prctl adjtimex setrlimit chroot sync acct
  164 settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname iopl ioperm create_module
  175 init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall
  184 tuxcall security gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr
  195 llistxattr flistxattr removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity
  204 sched_getaffinity set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area
  212 lookup_dcookie epoll_create epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address
  219 restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun
  226 timer_delete clock_settime clock_gettime clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl
  234 tgkill utimes vserver mbind set_mempolicy get_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive
  244 mq_notify mq_getsetattr kexec_load waitid add_key request_key keyctl ioprio_set ioprio_get
  253 inotify_init inotify_add_watch inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat
  261 futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll
  272 unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice move_pages utimensat
  281 epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4
  289 signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo
  298 perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at
  305 clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv process_vm_writev kcmp finit_module
  314 sched_setattr sched_getattr renameat2 seccomp getrandom memfd_create kexec_file_load bpf execveat
  323 userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free
  332 statx io_pgetevents rseq uretprobe uprobe
`;

/** The generic numbers: a call that a newer one can stand in for is left out, so no `open` and no `epoll_wait`. */
export const AARCH64_CALLS = `
    0 io_setup io_destroy io_submit io_cancel io_getevents setxattr lsetxattr fsetxattr getxattr lgetxattr
   10 fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr getcwd lookup_dcookie
   19 eventfd2 epoll_create1 epoll_ctl epoll_pwait dup dup3 fcntl inotify_init1 inotify_add_watch
   28 inotify_rm_watch ioctl ioprio_set ioprio_get flock mknodat mkdirat unlinkat symlinkat linkat renameat
   39 umount2 mount pivot_root nfsservctl statfs fstatfs truncate ftruncate fallocate faccessat chdir fchdir
   51 chroot fchmod fchmodat fchownat fchown openat close vhangup pipe2 quotactl getdents64 lseek read write
   65 readv writev pread64 pwrite64 preadv pwritev sendfile pselect6 ppoll signalfd4 vmsplice splice tee
   78 readlinkat newfstatat fstat sync fsync fdatasync sync_file_range timerfd_create timerfd_settime
   87 timerfd_gettime utimensat acct capget capset personality exit exit_group waitid set_tid_address
   97 unshare futex set_robust_list get_robust_list nanosleep getitimer setitimer kexec_load init_module
  106 delete_module timer_create timer_gettime timer_getoverrun timer_settime timer_delete clock_settime
  113 clock_gettime clock_getres clock_nanosleep syslog ptrace sched_setparam sched_setscheduler
  120 sched_getscheduler sched_getparam sched_setaffinity sched_getaffinity sched_yield
  125 sched_get_priority_max sched_get_priority_min sched_rr_get_interval restart_syscall kill tkill tgkill
  132 sigaltstack rt_sigsuspend rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait rt_sigqueueinfo
  139 rt_sigreturn setpriority getpriority reboot setregid setgid setreuid setuid setresuid getresuid
  149 setresgid getresgid setfsuid setfsgid times setpgid getpgid getsid setsid getgroups setgroups uname
  161 sethostname setdomainname getrlimit setrlimit getrusage umask prctl getcpu gettimeofday settimeofday
  171 adjtimex getpid getppid getuid geteuid getgid getegid gettid sysinfo mq_open mq_unlink mq_timedsend
  183 mq_timedreceive mq_notify mq_getsetattr msgget msgctl msgrcv msgsnd semget semctl semtimedop semop
  194 shmget shmctl shmat shmdt socket socketpair bind listen accept connect getsockname getpeername sendto
  207 recvfrom setsockopt getsockopt shutdown sendmsg recvmsg readahead brk munmap mremap add_key
  218 request_key keyctl clone execve mmap fadvise64 swapon swapoff mprotect msync mlock munlock mlockall
  231 munlockall mincore madvise remap_file_pages mbind get_mempolicy set_mempolicy migrate_pages move_pages
  240 rt_tgsigqueueinfo perf_event_open accept4 recvmmsg
  260 wait4 prlimit64 fanotify_init fanotify_mark name_to_handle_at open_by_handle_at clock_adjtime syncfs
  268 setns sendmmsg process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr
  276 renameat2 seccomp getrandom memfd_create bpf execveat userfaultfd membarrier mlock2 copy_file_range
  286 preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq kexec_file_load
`;
