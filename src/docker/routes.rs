//! The host's routes: networks of a LAN or VPN that the engine does not know.

use std::net::Ipv4Addr;

use crate::model::{HostRoute, Subnet};

const TABLE: &str = "/proc/net/route";
/// Prefixes up to this length are ignored: the default route, and its halves and quarters, which VPNs use to replace
/// it.
const WIDEST: u32 = 8;

/// Empty when there is no such table, as on systems other than Linux.
pub(super) fn host_routes() -> Vec<HostRoute> {
    std::fs::read_to_string(TABLE).map(|table| parse(&table)).unwrap_or_default()
}

fn parse(table: &str) -> Vec<HostRoute> {
    table.lines().skip(1).filter_map(route).collect()
}

/// Addresses are in the machine's byte order.
fn route(line: &str) -> Option<HostRoute> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::from_be);
    let (address, mask) = (number(1)?, number(7)?);
    let prefix = mask.leading_ones();
    let subnet = Subnet::new(Ipv4Addr::from(address), u8::try_from(prefix).ok()?)?;
    (prefix >= WIDEST).then(|| HostRoute { subnet, device: fields[0].to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_routing_table_is_parsed() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                     eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     tun0\t00000080\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n\
                     wg0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
                     eth0\t0701A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n\
                     nonsense\n";
        let found = parse(table).iter().map(|route| format!("{} {}", route.subnet, route.device)).collect::<Vec<_>>();
        assert_eq!(found, ["10.213.0.0/16 wg0", "192.168.1.7/32 eth0"]);
    }
}
