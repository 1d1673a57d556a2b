-- The gate's requests inside nginx: whom they go to, and why nginx refused what came back. They pass the same settings as
-- the traffic (nginx.conf), and no route, count or metric.
local balancer = require "ngx.balancer"

local _M = {}

_M.SOCKET = "unix:/run/deploy-apps/probe.sock"
_M.PEER_HEADER = "X-Deploy-Apps-Peer"

local LOG = "/run/deploy-apps/probe.log"
-- The log lies in memory. Each line is at most 2 KB, and only the last ones are ever looked at.
local LONGEST_LOG = 64 * 1024

-- The access phase: takes the peer out of the request, so that the app sees what it will see of its clients.
function _M.begin()
    local address, port = (ngx.req.get_headers()[_M.PEER_HEADER] or ""):match("^(.+):(%d+)$")
    if not address then
        return ngx.exit(400)
    end
    ngx.ctx.peer = { address = address, port = tonumber(port) }
    ngx.req.clear_header(_M.PEER_HEADER)
end

function _M.balance()
    local peer = ngx.ctx.peer
    assert(balancer.set_current_peer(peer.address, peer.port))
end

local function lines()
    local file = io.open(LOG, "r")
    if not file then
        return ""
    end
    local size = file:seek("end")
    file:seek("set", math.max(0, size - LONGEST_LOG))
    local text = file:read(LONGEST_LOG) or ""
    file:close()
    return text
end

-- The last words of nginx's log on a connection, without where and when; nil when it has said nothing. An answer that
-- ended before its head was passed on names no connection: then the peer tells which words are meant.
function _M.words(connection, address, port)
    local upstream, found = not connection and ('upstream: "http://%s:%d/'):format(address, port), nil
    for number, line in lines():gmatch("%*(%d+) ([^\n]*)") do
        if number == connection or upstream and line:find(upstream, 1, true) then
            found = line:match("^(.-), client: ") or line
        end
    end
    return found
end

-- Empties the log when it has grown: nginx writes on at its end.
function _M.trim()
    local file = io.open(LOG, "r")
    if not file then
        return
    end
    local size = file:seek("end")
    file:close()
    if size > LONGEST_LOG then
        file = io.open(LOG, "w")
        if file then
            file:close()
        end
    end
end

return _M
