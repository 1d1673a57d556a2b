//! Text formats: variables, `.env`, durations, sizes and command lines.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::compose::text::dotenv;
use crate::compose::text::interpolate::{Lookup, interpolate};
use crate::compose::text::node::{Node, Span};
use crate::compose::text::scalar;
use crate::compose::text::shell_words;
use crate::compose::text::suggest::nearest;

/// Interpolates with `A=a`, `EMPTY=` and `U` not set; unset names follow in brackets.
fn put_in(text: &str) -> String {
    let value = |name: &str| match name {
        "A" => Some("a".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let mut lookup = Lookup::new(&value);
    let done =
        interpolate(text, &mut lookup).unwrap_or_else(|failure| format!("{}: {}", failure.offset, failure.message));
    if lookup.unset.is_empty() { done } else { format!("{done} [{}]", lookup.unset.join(" ")) }
}

#[test]
fn variables_follow_composes_rules() {
    let table = [
        ("x$A-${A}y", "xa-ay"),
        ("$A_B", " [A_B]"),
        ("$$A $${A}", "$A ${A}"),
        ("$U|${U}", "| [U U]"),
        ("${U:-d}|${EMPTY:-d}|${A:-d}", "d|d|a"),
        ("${U-d}|${EMPTY-d}|${A-d}", "d||a"),
        ("${U:+d}|${EMPTY:+d}|${A:+d}", "||d"),
        ("${U+d}|${EMPTY+d}|${A+d}", "|d|d"),
        ("${A:?why}|${A?why}|${EMPTY?why}", "a|a|"),
        ("${EMPTY:?why $A}", "0: required variable `EMPTY` is empty: why a"),
        ("x${U?}", "1: required variable `U` is not set"),
        ("${U:-${V:-${A}}}", "a"),
        ("${U:-$V}", " [V]"),
        ("${A:-$V}${A:+}${U+$V}", "a"),
        ("${U:-{\"k\": {}}}", "{\"k\": {}}"),
        ("${U:-a:b-c?d+e}", "a:b-c?d+e"),
        ("${U-}}", "}"),
        ("${A:-${U:?why}}|${A-${U?why}}|${U:+${U:?why}}", "a|a|"),
        ("${A:-${U:-${U:?why}}}", "a"),
        ("${U:-${U:?why}}", "5: required variable `U` is not set: why"),
        ("${A:+${U:?why}}", "5: required variable `U` is not set: why"),
        ("^/(.*)$|$1|$-|$(x)|${U-$5}", "^/(.*)$|$1|$-|$(x)|$5"),
        ("ä$", "ä$"),
        ("${}", "0: invalid variable `${}`"),
        ("${A:}", "0: invalid variable `${A:}`"),
        ("${A b}", "0: invalid variable `${A b}`"),
        ("${A:-x", "0: invalid variable `${A:-x`"),
    ];
    for (text, expected) in table {
        assert_eq!(put_in(text), expected, "{text}");
    }
    let nested = format!("{}{}", "${U:-".repeat(17), "}".repeat(17));
    assert_eq!(put_in(&nested), "80: variables are nested more than 16 levels deep");
}

#[test]
fn interpolation_is_bounded() {
    let long = "x".repeat(1 << 20);
    let failure = interpolate(&"$A".repeat(20), &mut Lookup::new(&|_| Some(long.clone()))).expect_err("too long");
    assert_eq!(failure.message, "the values of variables are longer than 16777216 bytes together");
    let doubling: String = (1..64).map(|n| format!("V{n}=$V{}$V{}\n", n - 1, n - 1)).collect();
    let bad = dotenv::parse(&format!("V0=xx\n{doubling}"), &|_| None).expect_err("too long");
    assert!(bad.message.starts_with("the values of variables are longer than"), "{bad:?}");
}

#[test]
fn dotenv_follows_composes_rules() {
    let outer: BTreeMap<&str, &str> = [("OUT", "out"), ("A", "outer")].into();
    let parsed = |text: &str| {
        let values = dotenv::parse(text, &|name| outer.get(name).map(ToString::to_string)).map(|(values, _)| values);
        match values {
            Ok(values) => values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("|"),
            Err(bad) => format!("{}: {}", bad.line, bad.message),
        }
    };
    let table = [
        ("B=1\r\n# no\n\nexport C = 2 # c\n", "B=1|C=2"),
        ("B=a b c\nC=a#b\nD=#\nE=", "B=a b c|C=a#b|D=#|E="),
        ("B: x\nC='it\\'s $A' # c\nD=\"a\\n\\t\\\"\\$A\\q\"", "B=x|C=it's $A|D=a\n\t\"$A\\q"),
        ("B='two\nlines'\nC=\"${B}\n\"", "B=two\nlines|C=two\nlines\n"),
        ("OUT\nNONE\nB=1", "OUT=out|B=1"),
        ("A=file\nB=$A ${U:-d} $$", "A=file|B=outer d $"),
        ("B=1\nB=2", "B=2"),
        ("\u{feff}B=1", "B=1"),
        ("B=1\n=2", "2: `` is not a variable's name"),
        ("B='x", "1: the value of `B` has no closing '"),
        ("\nB=\"x\" y", "2: text after the closing \" of `B`"),
        ("B=${U:?needed}", "1: required variable `U` is not set: needed"),
    ];
    for (text, expected) in table {
        assert_eq!(parsed(text), expected, "{text:?}");
    }
}

fn node(text: &str) -> Node {
    Node::text_at(Span::default(), text)
}

#[test]
fn durations_need_their_unit() {
    let millis = |text: &str| scalar::duration("t", &node(text)).ok().map(|time| time.as_millis());
    let valid =
        [("10s", 10_000), ("1m30s", 90_000), ("1.5s", 1_500), ("250ms", 250), ("1h", 3_600_000), ("2d", 172_800_000)];
    for (text, expected) in [("0", 0), ("0s", 0), ("1500us", 1), ("1h5m30s20ms", 3_930_020)].into_iter().chain(valid) {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for text in [
        "",
        "10",
        "s",
        "-1s",
        "1 s",
        "1m 30s",
        "1w",
        "1.s",
        ".5s",
        "1e3s",
        "1S",
        "99999999999999999999h",
        "400d",
        "1.2.3s",
    ] {
        assert_eq!(millis(text), None, "{text}");
    }
    assert_eq!(scalar::positive_duration("t", &node("1ns")).ok(), Some(Duration::from_nanos(1)));
}

#[test]
fn sizes_are_powers_of_1024() {
    let bytes = |text: &str| scalar::bytes("m", &node(text)).ok();
    let table = [("0", 0), ("512", 512), ("512b", 512), ("64m", 64 << 20), ("64M", 64 << 20), ("64mb", 64 << 20)];
    for (text, expected) in
        table.into_iter().chain([("64MiB", 64 << 20), ("1.5g", 3 << 29), ("2 k", 2048), ("1t", 1 << 40)])
    {
        assert_eq!(bytes(text), Some(expected), "{text}");
    }
    for text in ["", "m", "-1", "64x", "64mm", "64ib", "1e3", "64mbb", "1..5g", "9999999p"] {
        assert_eq!(bytes(text), None, "{text}");
    }
}

#[test]
fn command_lines_are_split_but_not_run() {
    let split =
        |line: &str| shell_words::split(line).map_or_else(|error| format!("error: {error}"), |words| words.join("|"));
    let table = [
        ("", ""),
        ("  a  b\t\nc ", "a|b|c"),
        ("a'b c'd", "ab cd"),
        ("\"a \\\"b\\\" \\n\"", "a \"b\" \\n"),
        ("'' \"\"", "|"),
        ("a\\ b", "a b"),
        ("a\\", "error: ends with a backslash"),
        ("a > b", "error: has an unquoted `>`"),
        ("\"a", "error: has no closing \""),
    ];
    for (line, expected) in table {
        assert_eq!(split(line), expected, "{line:?}");
    }
}

#[test]
fn suggestions_are_similar() {
    let known = ["go-app", "node-app", "db"];
    assert_eq!(nearest("go-ap", known), Some("go-app"));
    assert_eq!(nearest("GO-APP", known), Some("go-app"));
    assert_eq!(nearest("ndoe-app", known), Some("node-app"));
    assert_eq!(nearest("worker", known), None);
    assert_eq!(nearest(&"x".repeat(10_000), known), None);
}
