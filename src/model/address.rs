//! Fixed addresses: a replica keeps its address over restarts, so that no app gets another app's traffic.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IPv4 network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The network of `prefix` bits that contains `address`; `None` when `prefix` is above 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { base: u32::from(address) & mask(prefix), prefix })
    }

    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.base
    }

    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + offset)
    }
}

fn mask(prefix: u8) -> u32 {
    if prefix == 0 { 0 } else { u32::MAX << (32 - u32::from(prefix)) }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not an IPv4 network such as `10.213.0.0/20`");
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address = address.parse().map_err(|_| invalid())?;
        let prefix = prefix.parse().map_err(|_| invalid())?;
        Self::new(address, prefix).ok_or_else(invalid)
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

/// How a proxy network of 4,096 addresses is split: the engine assigns addresses from the lower quarter dynamically,
/// and we assign fixed addresses from the rest. So a container that started earlier can never hold a fixed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    subnet: Subnet,
}

/// 4,096 addresses: more than the 1,024 ports that a Linux bridge has.
const POOL_PREFIX: u8 = 20;
const DYNAMIC_PREFIX: u8 = 22;
const DYNAMIC_SIZE: u32 = 1 << (32 - DYNAMIC_PREFIX as u32);
/// The proxy's address follows the dynamic quarter, with a small gap before the replicas for future use.
const PROXY_OFFSET: u32 = DYNAMIC_SIZE + 2;
const FIRST_REPLICA: u32 = DYNAMIC_SIZE + 16;
const LAST_REPLICA: u32 = (1 << (32 - POOL_PREFIX as u32)) - 2;

impl AddressPool {
    /// The pool of a proxy network.
    #[must_use]
    pub fn new(subnet: Subnet) -> Option<Self> {
        (subnet.prefix == POOL_PREFIX).then_some(Self { subnet })
    }

    /// A pool for the proxy named `seed` that overlaps with none of `taken`.
    ///
    /// The search starts at a position that depends on the seed. Two proxies that are created at the same time
    /// therefore seldom pick the same network, which the engine would give to only one of them.
    #[must_use]
    pub fn free(seed: &str, taken: &[Subnet]) -> Option<Self> {
        // From 10.201.0.0 up: outside of the engine's defaults (172.17–31, 192.168) and of common office ranges. The
        // other ranges are for hosts where all of 10.0.0.0/8 is in use.
        let first = slices(10, 201..=254);
        let last: Vec<Subnet> = slices(172, 16..=31).into_iter().chain(slices(192, 168..=168)).collect();
        let free = |candidate: &&Subnet| !taken.iter().any(|other| candidate.overlaps(*other));
        let search = |candidates: &[Subnet]| {
            let (before, from) = candidates.split_at(fnv1a(seed) as usize % candidates.len());
            from.iter().chain(before).find(free).map(|subnet| Self { subnet: *subnet })
        };
        search(&first).or_else(|| search(&last))
    }

    /// The pool that contains a fixed address.
    #[must_use]
    pub fn around(address: Ipv4Addr) -> Option<Self> {
        Subnet::new(address, POOL_PREFIX).and_then(Self::new)
    }

    /// Whether it overlaps with none of `taken`.
    #[must_use]
    pub fn is_free(self, taken: &[Subnet]) -> bool {
        !taken.iter().any(|other| self.subnet.overlaps(*other))
    }

    #[must_use]
    pub fn subnet(self) -> Subnet {
        self.subnet
    }

    /// The range from which the engine assigns dynamic addresses.
    #[must_use]
    pub fn dynamic_range(self) -> Subnet {
        Subnet { base: self.subnet.base, prefix: DYNAMIC_PREFIX }
    }

    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        self.subnet.at(1)
    }

    #[must_use]
    pub fn proxy(self) -> Ipv4Addr {
        self.subnet.at(PROXY_OFFSET)
    }

    /// A free address for the replica named `seed`; `None` when all are taken.
    ///
    /// The search starts at a position that depends on the seed. Two concurrent deploys therefore seldom pick the same
    /// address, and a new release seldom reuses the address of the one it replaces.
    #[must_use]
    pub fn replica(self, seed: &str, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let count = LAST_REPLICA - FIRST_REPLICA + 1;
        let start = fnv1a(seed) % count;
        (0..count)
            .map(|step| self.subnet.at(FIRST_REPLICA + (start + step) % count))
            .find(|address| !taken.contains(address))
    }
}

/// All networks of the pool's size in `first.second.0.0/16`.
fn slices(first: u8, second: std::ops::RangeInclusive<u8>) -> Vec<Subnet> {
    let addresses = second.flat_map(|second| (0..16u8).map(move |third| Ipv4Addr::new(first, second, third * 16, 0)));
    addresses.filter_map(|address| Subnet::new(address, POOL_PREFIX)).collect()
}

/// FNV-1a: stable across versions and platforms, which the standard library's hashers do not guarantee.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("valid subnet")
    }

    #[test]
    fn overlap_is_symmetric_and_sees_nesting() {
        let wide = subnet("10.0.0.0/8");
        let narrow = subnet("10.201.0.0/20");
        assert!(wide.overlaps(narrow) && narrow.overlaps(wide));
        assert!(!narrow.overlaps(subnet("10.201.16.0/20")));
    }

    #[test]
    fn a_free_pool_avoids_every_taken_network() {
        let taken: Vec<_> = (201..=254).map(|second| subnet(&format!("10.{second}.0.0/17"))).collect();
        let pool = AddressPool::free("deploy-apps", &taken).expect("a free pool");
        assert!(!taken.iter().any(|other| pool.subnet().overlaps(*other)));
        assert_eq!(AddressPool::free("deploy-apps", &taken), Some(pool), "the same search finds the same pool");
        let office = [subnet("10.0.0.0/8"), subnet("172.16.0.0/13")];
        let elsewhere = AddressPool::free("deploy-apps", &office).expect("a free pool");
        assert!(subnet("172.24.0.0/13").overlaps(elsewhere.subnet()));
        let all = [subnet("10.0.0.0/8"), subnet("172.16.0.0/12"), subnet("192.168.0.0/16")];
        assert_eq!(AddressPool::free("deploy-apps", &all), None);
    }

    #[test]
    fn the_search_for_a_pool_depends_on_the_seed() {
        assert_ne!(AddressPool::free("one", &[]), AddressPool::free("other", &[]));
    }

    #[test]
    fn fixed_addresses_stay_out_of_the_dynamic_range() {
        let pool = AddressPool::new(subnet("10.201.0.0/20")).expect("a /20");
        let mut taken = BTreeSet::new();
        while let Some(address) = pool.replica("sample/go-app r1 1", &taken) {
            assert!(pool.subnet().contains(address) && !pool.dynamic_range().contains(address));
            assert_ne!(address, pool.proxy());
            taken.insert(address);
        }
        assert_eq!(taken.len(), (LAST_REPLICA - FIRST_REPLICA + 1) as usize);
    }
}
