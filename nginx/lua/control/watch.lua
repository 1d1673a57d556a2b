-- Who watches the canary of an app, and what somebody else has asked the watcher for. Neither is on disk: after a restart the
-- watcher is whoever takes its lease up again.
local json = require "json"

local dict = ngx.shared.leases

local _M = {}

-- Notes the token of the lease with which a canary was flipped in; nil when the app has no canary any more.
function _M.note(app, token)
    if token then
        dict:safe_set("watch:" .. app, token)
    else
        dict:delete("watch:" .. app)
        dict:delete("order:" .. app)
    end
end

-- The token that was noted; nil when it is not known.
function _M.token(app)
    return dict:get("watch:" .. app)
end

-- `order` is a table; the last one counts.
function _M.give(app, order)
    return dict:safe_set("order:" .. app, json.encode(order))
end

-- What was asked for, as JSON text; nil for nothing.
function _M.order(app)
    return dict:get("order:" .. app)
end

return _M
