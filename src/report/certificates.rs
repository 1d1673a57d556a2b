//! The certificates of a project's hosts, as text and as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::table::{Align, Table};
use super::text;
use crate::model::{ObservedCertificate, ProjectName, day, days_left};

/// The input of the `certificates` command's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificates {
    pub project: ProjectName,
    pub at: Timestamp,
    pub all: Vec<ObservedCertificate>,
}

impl Certificates {
    #[must_use]
    pub fn lines(&self, width: Option<usize>) -> Vec<String> {
        if self.all.is_empty() {
            return vec![format!("no certificate is kept for project `{}`", self.project)];
        }
        let mut table = Table::new([
            ("host", Align::Left),
            ("valid until", Align::Left),
            ("days left", Align::Right),
            ("source", Align::Left),
            ("issuer", Align::Left),
            ("names", Align::Left),
        ]);
        for one in &self.all {
            let expires = one.expires();
            table.row([
                text::clean(&one.host),
                expires.map(day).unwrap_or_default(),
                expires.map(|at| days_left(at, self.at).to_string()).unwrap_or_default(),
                text::clean(one.source.as_deref().unwrap_or_default()),
                text::clean(one.issuer.as_deref().unwrap_or_default()),
                text::clean(&one.names.join(" ")),
            ]);
            if let Some(trouble) = one.trouble(self.at) {
                table.note(format!("  {}", text::clean(&trouble)));
            }
        }
        table.lines_within(width, &["names", "issuer", "source"])
    }

    /// The whole output as one JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        let all = self.all.iter().map(|one| document(one, self.at)).collect::<Vec<_>>();
        json!({ "v": 1, "project": self.project, "at": self.at.to_string(), "certificates": all })
    }
}

/// One certificate, as shown by `certificates` and `status`.
pub(super) fn document(one: &ObservedCertificate, now: Timestamp) -> Value {
    let moment = |at: i64| Timestamp::from_millisecond(at).ok().map(|at| at.to_string());
    json!({
        "host": one.host,
        "id": one.id,
        "names": one.names,
        "source": one.source,
        "issuer": one.issuer,
        "serial": one.serial,
        "not_before": one.not_before.and_then(moment),
        "not_after": one.expires().map(|at| at.to_string()),
        "days_left": one.expires().map(|at| days_left(at, now)),
        "error": one.error,
        "renewal": one.renewal.as_ref().map(|renewal| json!({
            "failures": renewal.failures,
            "at": moment(renewal.at),
            "next_at": moment(renewal.next_at),
            "error": renewal.error,
        })),
        "trouble": one.trouble(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_the_days_and_what_is_wrong() {
        let at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let one = |host: &str, days: i64| ObservedCertificate {
            host: host.to_owned(),
            id: Some("1".to_owned()),
            project: None,
            source: Some("file".to_owned()),
            names: vec![host.to_owned()],
            not_before: Some(0),
            not_after: Some(at.as_millisecond() + days * 86_400_000),
            issuer: Some("a CA".to_owned()),
            serial: Some("1".to_owned()),
            error: None,
            renewal: None,
        };
        let all = vec![one("*.a.test", 90), one("b.test", 3)];
        let list = Certificates { project: "shop".parse().unwrap(), at, all };
        let lines = [
            "host      valid until  days left  source  issuer  names",
            "*.a.test  2026-05-30          90  file    a CA    *.a.test",
            "b.test    2026-03-04           3  file    a CA    b.test",
            "  the certificate of `b.test` expires on 2026-03-04, in 3 days",
        ];
        assert_eq!(list.lines(None), lines);
        assert_eq!(list.document()["certificates"][1]["days_left"], 3);
        let none = Certificates { all: Vec::new(), ..list };
        assert_eq!(none.lines(None), ["no certificate is kept for project `shop`"]);
    }
}
