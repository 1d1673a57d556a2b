/*
 * Holds the sockets that clients connect to, and gives them to whichever nginx serves.
 *
 *   listeners hold SOCKET PORT...       opens the ports, and hands them to whoever connects to SOCKET
 *   listeners take SOCKET COMMAND...    gets them from there and runs COMMAND with them, as nginx takes them (NGINX=3;4;)
 *   listeners wait                      does nothing until it is stopped
 *
 * A connection to SOCKET stays open: its end tells the one side that the other has gone. COMMAND finds its number in HOLDER_FD.
 * The kernel queues connections at a socket for as long as somebody has it open, so while no nginx is there, none is refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
#define MOST_LISTENERS 16
#define MOST_TAKERS 32
#define RETRY_MS 20

static void fail(const char *doing)
{
    fprintf(stderr, "[listeners] cannot %s: %s\n", doing, strerror(errno));
    exit(1);
}

static void end(int signal)
{
    (void) signal;
    _exit(0);
}

/* PID 1 gets no signal that it has no handler for. */
static void end_on_signals(void)
{
    struct sigaction action = {.sa_handler = end};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail("use the socket's path");
    }
    strcpy(address.sun_path, path);
    return address;
}

static int listener(int family, in_port_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int on = 1, is_v6 = family == AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0
        || (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        || bind(fd, is_v6 ? (struct sockaddr *) &v6 : (struct sockaddr *) &v4, is_v6 ? sizeof(v6) : sizeof(v4)) != 0
        || listen(fd, BACKLOG) != 0)
    {
        fail("listen on a port");
    }
    return fd;
}

static void give(int to, const int *fds, int count)
{
    char byte = 1, control[CMSG_SPACE(sizeof(int) * MOST_LISTENERS)] = {0};
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    if (sendmsg(to, &message, MSG_NOSIGNAL) != 1) {
        fprintf(stderr, "[listeners] cannot hand the listeners over: %s\n", strerror(errno));
    }
}

static void hold(const char *path, int count, char **ports)
{
    struct pollfd polled[1 + MOST_TAKERS];
    struct sockaddr_un address = address_of(path);
    int fds[MOST_LISTENERS], listeners = 0, takers = 0, at;

    if (count * 2 > MOST_LISTENERS) {
        errno = E2BIG;
        fail("listen on so many ports");
    }
    for (at = 0; at < count; at++) {
        fds[listeners++] = listener(AF_INET, (in_port_t) atoi(ports[at]));
        if (fds[listeners - 1] < 0) {
            fail("make a socket");
        }
        /* A kernel without IPv6 has no such socket. */
        fds[listeners] = access("/proc/net/if_inet6", F_OK) == 0 ? listener(AF_INET6, (in_port_t) atoi(ports[at])) : -1;
        listeners += fds[listeners] >= 0;
    }
    polled[0].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path);
    umask(0177);
    if (polled[0].fd < 0 || bind(polled[0].fd, (struct sockaddr *) &address, sizeof(address)) != 0
        || listen(polled[0].fd, MOST_TAKERS) != 0)
    {
        fail("listen on the socket");
    }
    for (;;) {
        /* When there is no room for one more, it waits in the queue. */
        polled[0].events = takers < MOST_TAKERS ? POLLIN : 0;
        if (poll(polled, 1 + takers, -1) < 0 && errno != EINTR) {
            fail("wait");
        }
        for (at = takers; at >= 1; at--) {
            /* A taker never says anything: what is readable has ended. */
            if (polled[at].revents != 0) {
                close(polled[at].fd);
                polled[at] = polled[takers--];
            }
        }
        if (polled[0].revents & POLLIN) {
            int taker = accept4(polled[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

            if (taker >= 0) {
                give(taker, fds, listeners);
                takers++;
                polled[takers].fd = taker;
                polled[takers].events = POLLIN;
                polled[takers].revents = 0;
            }
        }
    }
}

/* How many were received, or -1 when the holder is not there. */
static int receive(int from, int *fds)
{
    char byte, control[CMSG_SPACE(sizeof(int) * MOST_LISTENERS)];
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *head;
    int count;

    if (recvmsg(from, &message, 0) != 1 || message.msg_flags & MSG_CTRUNC) {
        return -1;
    }
    head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_type != SCM_RIGHTS) {
        return -1;
    }
    count = (int) ((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(head), sizeof(int) * count);
    return count;
}

static void take(const char *path, char **command)
{
    struct sockaddr_un address = address_of(path);
    struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    int fds[MOST_LISTENERS], holder, count = -1, at, waited = 0;
    char list[MOST_LISTENERS * 12] = "", number[16];

    for (;;) {
        holder = socket(AF_UNIX, SOCK_STREAM, 0);
        if (holder < 0) {
            fail("make a socket");
        }
        if (connect(holder, (struct sockaddr *) &address, sizeof(address)) == 0 && (count = receive(holder, fds)) > 0) {
            break;
        }
        close(holder);
        waited += RETRY_MS;
        if (waited == 5000) {
            fprintf(stderr, "[listeners] waiting for the container that has the published port\n");
        }
        nanosleep(&pause, NULL);
    }
    for (at = 0; at < count; at++) {
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%d;", fds[at]);
    }
    snprintf(number, sizeof(number), "%d", holder);
    if (setenv("NGINX", list, 1) != 0 || setenv("HOLDER_FD", number, 1) != 0) {
        fail("set the environment");
    }
    execvp(command[0], command);
    fail("run the command");
}

int main(int count, char **words)
{
    end_on_signals();
    if (count >= 4 && strcmp(words[1], "hold") == 0) {
        hold(words[2], count - 3, words + 3);
    } else if (count >= 4 && strcmp(words[1], "take") == 0) {
        take(words[2], words + 3);
    } else if (count == 2 && strcmp(words[1], "wait") == 0) {
        for (;;) {
            pause();
        }
    }
    fprintf(stderr, "usage: listeners hold SOCKET PORT... | take SOCKET COMMAND... | wait\n");
    return 2;
}
