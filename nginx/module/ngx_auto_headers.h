/* Headers that nginx's configure finds on every Linux. */
#define NGX_HAVE_UNISTD_H  1
#define NGX_HAVE_INTTYPES_H  1
#define NGX_HAVE_LIMITS_H  1
#define NGX_HAVE_SYS_PARAM_H  1
#define NGX_HAVE_SYS_MOUNT_H  1
#define NGX_HAVE_SYS_STATVFS_H  1
#define NGX_HAVE_CRYPT_H  1
#define NGX_LINUX  1
#define NGX_HAVE_SYS_PRCTL_H  1
#define NGX_HAVE_SYS_VFS_H  1
