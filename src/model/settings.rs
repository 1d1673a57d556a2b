//! How the proxy treats an app's requests: what the compose file says about it and the app's record carries.
//!
//! A new setting is one line of the table below, and one in `nginx/lua/state/schema.lua`.

use serde::{Deserialize, Serialize};

use super::basic_auth::BasicAuth;
use super::edge::{ClientAccess, ErrorPage, RateLimit, ResponseHeaders, Timeouts};
use super::features::Features;
use super::policy::Balance;
use super::redirect::Redirect;

/// One setting of the table.
struct Setting {
    /// As the compose file and the record have it.
    name: &'static str,
    /// What a proxy must know to take a record with it; `None`: every proxy does.
    feature: Option<&'static str>,
    /// Whether it keeps somebody out, so that an app must not serve without it.
    protects: bool,
    differs: fn(&Settings, &Settings) -> bool,
    reset: fn(&mut Settings),
}

/// Makes the struct and its table. A setting with a feature is left out of a record where it has its default, so that a proxy
/// of an older build takes the record.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ty $(, since $feature:literal $(, protects: $protects:literal)?)?;)*) => {
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Settings {
            $(
                $(#[doc = $doc])*
                $(#[doc = concat!(" The proxy must know `", $feature, "`.")]
                #[serde(skip_serializing_if = "is_default")])?
                pub $name: $kind,
            )*
        }

        const TABLE: &[Setting] = &[$(
            Setting {
                name: stringify!($name),
                feature: [$(Some($feature),)? None][0],
                protects: [$($($protects,)?)? false][0],
                differs: |one, other| one.$name != other.$name,
                reset: |settings| settings.$name = <$kind>::default(),
            },
        )*];
    };
}

settings! {
    /// Which of the healthy replicas gets the next request.
    balance: Balance;
    /// Where each replica tells its own metrics; `None`: no scraper is sent there.
    metrics: Option<String>, since "targets";
    /// Requests that are answered with another address; the first that matches counts.
    redirects: Vec<Redirect>, since "redirects";
    /// What becomes of the headers of the app's answers.
    response_headers: ResponseHeaders, since "response_headers";
    /// Which clients may come.
    access: ClientAccess, since "access", protects: true;
    /// Bytes; a larger body is answered with 413. `None` is no limit.
    max_body_size: Option<u64>, since "max_body_size";
    /// How long the app may take.
    timeouts: Timeouts, since "timeouts";
    /// How often each client may ask; beyond it the answer is 429. `None`: as often as it likes.
    rate_limit: Option<RateLimit>, since "rate_limit";
    /// Pages in place of the proxy's own.
    error_pages: Vec<ErrorPage>, since "error_pages";
    /// Who may come with which password. `None`: nobody is asked.
    basic_auth: Option<BasicAuth>, since "basic_auth", protects: true;
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Settings {
    /// The names of all.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|setting| setting.name)
    }

    /// The names of those that differ.
    pub fn changed(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        TABLE.iter().filter(|setting| (setting.differs)(self, other)).map(|setting| setting.name)
    }

    /// As a proxy with these features takes them: what it does not know has its default.
    #[must_use]
    pub fn known_to(&self, features: &Features) -> Self {
        let mut known = self.clone();
        for setting in TABLE.iter().filter(|setting| !setting.is_known_to(features)) {
            (setting.reset)(&mut known);
        }
        known
    }

    /// The names of those that keep somebody out, and that a proxy with these features would not take.
    pub fn unprotected_by(&self, features: &Features) -> impl Iterator<Item = &'static str> {
        let known = self.known_to(features);
        let differing = TABLE.iter().filter(move |setting| (setting.differs)(self, &known));
        differing.filter(|setting| setting.protects).map(|setting| setting.name)
    }

    /// The names of those that a proxy with these features would not take.
    pub fn unknown_to(&self, features: &Features) -> impl Iterator<Item = &'static str> {
        let known = self.known_to(features);
        TABLE.iter().filter(move |setting| (setting.differs)(self, &known)).map(|setting| setting.name)
    }
}

impl Setting {
    fn is_known_to(&self, features: &Features) -> bool {
        self.feature.is_none_or(|feature| features.knows(feature))
    }
}

impl Features {
    /// What a proxy of this build knows.
    #[must_use]
    pub fn all() -> Self {
        let own = TABLE.iter().filter_map(|setting| setting.feature);
        own.chain([
            Self::RELEASES,
            Self::SCALE,
            Self::CERTIFICATES,
            Self::ACME,
            Self::MAINTENANCE,
            Self::PAUSE,
            Self::CANARY,
        ])
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_proxy_gets_no_setting_that_it_does_not_know() {
        let settings =
            Settings { balance: Balance::RoundRobin, metrics: Some("/metrics".to_owned()), ..Settings::default() };
        let old = Features::default();
        assert_eq!(settings.unknown_to(&old).collect::<Vec<_>>(), ["metrics"]);
        let known = settings.known_to(&old);
        assert_eq!(serde_json::to_string(&known).expect("JSON"), r#"{"balance":"round_robin"}"#);
        assert_eq!(known.changed(&settings).collect::<Vec<_>>(), ["metrics"]);
        assert_eq!(settings.unknown_to(&Features::all()).count(), 0);
        assert_eq!(settings.known_to(&Features::all()), settings);
        assert_eq!(settings.unprotected_by(&old).count(), 0);
        let access = ClientAccess { allow: vec!["10.0.0.0/8".to_owned()], deny: Vec::new() };
        let guarded = Settings { access, ..settings };
        assert_eq!(guarded.unprotected_by(&old).collect::<Vec<_>>(), ["access"]);
    }
}
