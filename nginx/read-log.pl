#!/usr/bin/perl
# Writes the access log to stdout: read-log.pl SINCE TAIL FOLLOW, each may be empty. SINCE is a time as it stands in a line, without
# its zone; TAIL a number of lines. With FOLLOW an empty line ends what was there; then comes what is written, until stdin ends.
use strict;
use warnings;

my ($since, $tail, $follow) = @ARGV;
my $path = '/var/lib/deploy-apps/log/access.log';
# As {"time":"2026-11-20T12:52:10+00:00" begins.
use constant { TIME_AT => 9, TIME_LENGTH => 19 };
# Workers write on into a file that was renamed, until they have opened the new one a moment later.
use constant { LATE_PAUSES => 3, PAUSE_S => 0.2 };

sub opened { my ($file) = @_; open(my $handle, '<:raw', $file) or return; return $handle }
sub inode { my ($of) = @_; my $inode = (stat $of)[1]; return $inode // 0 }

$| = 1;
$SIG{PIPE} = sub { exit 0 };
my $current = opened($path);
my $size = $current ? -s $current : 0;
my @last;
my $show = sub {
    my ($line) = @_;
    return if $since ne '' && length $line > TIME_AT && substr($line, TIME_AT, TIME_LENGTH) lt $since;
    if ($tail eq '') { print $line; return }
    push @last, $line;
    shift @last if @last > $tail;
};
if (my $old = opened("$path.1")) {
    while (my $line = <$old>) { $show->($line) }
}
# Up to a line's end: the next one may be half written.
my $done = 0;
while ($current && $done < $size) {
    my $line = <$current>;
    last if !defined $line || substr($line, -1) ne "\n";
    $show->($line);
    $done += length $line;
}
print @last;
exit 0 if !$follow;

print "\n";
sysseek($current, $done, 0) if $current;
my ($pending, $pauses) = ('', 0);
while (1) {
    if ($current && (my $count = sysread($current, $pending, 65_536, length $pending))) {
        my $whole = rindex($pending, "\n") + 1;
        print substr($pending, 0, $whole, '') if $whole;
        next;
    }
    if (inode($path) && (!$current || inode($path) != inode($current)) && (!$current || ++$pauses > LATE_PAUSES)) {
        # A file that has come and was renamed already is read first.
        my $is_next = !$current || inode("$path.1") == inode($current);
        ($current, $pending, $pauses) = (opened($is_next ? $path : "$path.1"), '', 0);
        next;
    }
    my $ready = '';
    vec($ready, fileno(STDIN), 1) = 1;
    if (select($ready, undef, undef, PAUSE_S) > 0) { exit 0 if !sysread(STDIN, my $ignored, 4096) }
}
