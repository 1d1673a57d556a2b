#!/usr/bin/perl
# Writes the access log to stdout: read-log.pl SINCE TAIL FOLLOW, each may be empty. SINCE is a time as it stands in a line, without
# its zone; TAIL a number of lines. With FOLLOW an empty line ends what was there; then comes what is written, until stdin ends. Files
# that were full and gone before they were read are named by a line of their own.
use strict;
use warnings;
use POSIX 'strftime';

my ($since, $tail, $follow) = @ARGV;
my $path = '/var/lib/deploy-apps/log/access.log';
# As {"time":"2026-11-20T12:52:10+00:00" begins.
use constant { TIME_AT => 9, TIME_LENGTH => 19 };
# Workers write on into a file that was renamed, until they have opened the new one a moment later.
use constant { LATE_PAUSES => 3, PAUSE_S => 0.2 };
# The proxy renames a file and then counts that, within this.
use constant SETTLED_S => 0.02;

sub opened { my ($file) = @_; open(my $handle, '<:raw', $file) or return; return $handle }
sub inode { my ($of) = @_; my $inode = (stat $of)[1]; return $inode // 0 }

# How many files have been full so far.
sub rotated {
    my $file = opened('/var/lib/deploy-apps/log/rotated') or return 0;
    return int(<$file> // 0);
}
# Both files and that count, as of one moment.
sub both {
    while (1) {
        my ($old, $new, $count) = (scalar opened("$path.1"), scalar opened($path), rotated());
        select(undef, undef, undef, SETTLED_S);
        return ($old, $new, $count) if $count == rotated() && (!$old || inode("$path.1") == inode($old));
    }
}
sub missing {
    my ($files) = @_;
    my $time = time;
    printf qq({"time":"%s","at":%d.000,"message":"files of the access log that are missing here, gone before they were read: %d"}\n),
        strftime('%Y-%m-%dT%H:%M:%S+00:00', gmtime $time), $time, $files;
}

$| = 1;
$SIG{PIPE} = sub { exit 0 };
my ($old, $current, $number) = both();
# Of the file that is read; of the one before where there is none yet.
$number-- if !$current;
my $size = $current ? -s $current : 0;
my @last;
my $show = sub {
    my ($line) = @_;
    return if $since ne '' && length $line > TIME_AT && substr($line, TIME_AT, TIME_LENGTH) lt $since;
    if ($tail eq '') { print $line; return }
    push @last, $line;
    shift @last if @last > $tail;
};
if ($old) {
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
        my ($before, $now, $count) = both();
        # A file that has come and was renamed already is read first.
        my $is_next = !$current || !$before || inode($before) == inode($current);
        my $follows = $is_next ? $count : $count - 1;
        my $next = $is_next ? $now : $before or next;
        missing($follows - $number - 1) if $follows > $number + 1;
        ($current, $number, $pending, $pauses) = ($next, $follows, '', 0);
        next;
    }
    my $ready = '';
    vec($ready, fileno(STDIN), 1) = 1;
    if (select($ready, undef, undef, PAUSE_S) > 0) { exit 0 if !sysread(STDIN, my $ignored, 4096) }
}
