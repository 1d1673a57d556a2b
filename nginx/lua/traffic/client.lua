-- Which client a request comes from, and over what, where trusted proxies stand in front: their word is taken, nobody
-- else's. Everything here is bounded: 4 KiB and 32 entries of a header, whatever was sent.
local ranges = require "ranges"
local request = require "traffic.request"

local get, set = request.get, request.set
local parse, show = ranges.parse, ranges.show

local _M = {}

local LONGEST_HOST = 255
local MOST_BYTES, MOST_ENTRIES = 4096, 32

local trusted = ranges.list {}

local function is_trusted(address)
    return trusted.covers(address)
end

-- Takes over whom to trust: addresses and networks in CIDR form, with commas between them.
function _M.trust(list)
    local texts = {}
    for text in (list or ""):gmatch("[^,%s]+") do
        texts[#texts + 1] = text
    end
    trusted = ranges.list(texts)
end

-- The entries of a header that proxies append to. Commas within quotes separate too: a client that opens a quote must not
-- hide what a proxy appends.
local function entries(text)
    local found = {}
    if not text then
        return found
    end
    local is_cut = #text > MOST_BYTES
    for entry in text:sub(-MOST_BYTES):gmatch("[^,]+") do
        found[#found + 1] = entry:match("^%s*(.-)%s*$")
    end
    if is_cut then
        found[1] = ""
    end
    return found
end

-- `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`
local function address_in(text)
    return parse(text:match("^%[(.*)%]:?%d*$") or text:match("^([%d.]+):%d+$") or text)
end

-- From the right, the first address that is not a trusted proxy's; and how many entries were gone through to it.
local function walk(peer, chain)
    local client, steps = peer, 0
    for at = #chain, math.max(1, #chain - MOST_ENTRIES + 1), -1 do
        local address = address_in(chain[at])
        if not address then
            break
        end
        client, steps = address, steps + 1
        if not is_trusted(address) then
            break
        end
    end
    return client, steps
end

-- Of a list that grew by an entry for each proxy, the entry of the one that the client spoke to. Where fewer have added
-- theirs it is the first, where nobody has it is the only one.
local function told(list, steps)
    return list[#list - math.min(math.max(steps, 1), #list) + 1]
end

local SCHEMES = { http = "http", https = "https", ws = "http", wss = "https" }

local function scheme_of(text)
    return text and SCHEMES[text:lower()]
end

local function host_of(text)
    if text and #text <= LONGEST_HOST then
        return text:match("^[%w._-]+:?%d*$") or text:match("^%[[%x:.]+%]:?%d*$")
    end
end

local function port_of(text)
    local port = text and text:match("^%d+$") and #text <= 5 and tonumber(text)
    return port and port >= 1 and port <= 65535 and text or nil
end

-- The value of one name in each entry of a `Forwarded` (RFC 7239); nil when none has it.
local function forwarded(list, name)
    local values, is_found = {}, false
    for at, entry in ipairs(list) do
        values[at] = ""
        for key, value in entry:gmatch("([%w-]+)%s*=%s*([^;]*)") do
            if key:lower() == name then
                values[at], is_found = value:match('^"(.*)"') or value:match("^(.-)%s*$"), true
            end
        end
    end
    return is_found and values or nil
end

-- What `X-Forwarded-For` and its siblings say, or else `Forwarded`. Where the former is there, a proxy that writes it may have
-- let pass a `Forwarded` that its client made up.
local function claims()
    local by = get("http_x_forwarded_for")
    local list = by and {} or entries(get("http_forwarded"))
    return {
        chain = forwarded(list, "for") or entries(by),
        proto = forwarded(list, "proto") or entries(get("http_x_forwarded_proto")),
        host = forwarded(list, "host") or entries(get("http_x_forwarded_host")),
        port = entries(get("http_x_forwarded_port")),
    }
end

-- For apps that read `Forwarded` alone; only where the proxy in front speaks it too.
local function forwarded_for(client, proto, host)
    local text = ('for="%s";proto=%s'):format(client:find(":", 1, true) and "[" .. client .. "]" or client, proto)
    return host and ('%s;host="%s"'):format(text, host) or text
end

local function believe(peer, told_scheme)
    local said = claims()
    local client, steps = walk(peer, said.chain)
    local proto = scheme_of(told(said.proto, steps)) or told_scheme
    local host, port = host_of(told(said.host, steps)), port_of(told(said.port, steps))
    local text = show(client)
    set("client_addr", text)
    if proto then
        set("client_proto", proto)
    end
    if host then
        set("client_host", host)
    end
    if port then
        set("client_port", port)
    end
    if get("http_forwarded") then
        set("client_forwarded", forwarded_for(text, proto or get("scheme"), host or host_of(get("http_host"))))
    end
    return client
end

-- A trusted address is not counted. An IPv6 client may choose among the 64 bits of its network, so that network is one.
local function counted_as(client)
    if is_trusted(client) then
        return ""
    end
    return ranges.is_ipv4(client) and client or client:sub(1, 8)
end

-- Replaces what nginx itself sees of the client, on a connection from a trusted proxy. `$remote_addr` stays who has connected:
-- routes ask for that. Returns the client as the address that its open requests are counted by; nothing where nobody was named,
-- since then the proxy itself asks.
function _M.identify()
    local peer = parse(get("remote_addr") or "")
    if not peer or not is_trusted(peer) then
        return ""
    end
    local client, scheme = peer, nil
    local sent = get("proxy_protocol_addr")
    local behind = sent and parse(sent)
    if behind then
        client = behind
        set("client_addr", show(behind))
        -- What speaks plain HTTP here came by TLS when it was sent to the port of https.
        scheme = get("proxy_protocol_server_port") == "443" and "https" or nil
        if scheme then
            set("client_proto", scheme)
        end
    end
    if is_trusted(client) then
        client = believe(client, scheme)
    end
    return counted_as(client)
end

return _M
