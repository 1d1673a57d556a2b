-- How each app stands: its replicas that should serve, and those of them that cannot be reached. Counted when somebody
-- asks; a request never pays for it.
local apps = require "state.apps"
local current = require "traffic.current"
local ejection = require "traffic.ejection"

local _M = {}

-- Calls `each(app, release, replicas, unreachable)` for every release that has replicas. An app that was put to rest
-- has none, and a worker has no port that could be tried: neither is told of.
function _M.each_release(each)
    current.has_moved()
    local is_ejected = ejection.all()
    for _, name in ipairs(apps.names()) do
        local app = current.app(name)
        local found = {}
        for _, peer in ipairs(app and app.peers or {}) do
            local count = found[peer.release] or { replicas = 0, unreachable = 0 }
            found[peer.release] = count
            count.replicas = count.replicas + 1
            if is_ejected[peer.id] then
                count.unreachable = count.unreachable + 1
            end
        end
        for release, count in pairs(found) do
            each(name, release, count.replicas, count.unreachable)
        end
    end
end

return _M
