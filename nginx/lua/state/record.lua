-- An app's record as text: one spelling for the shared table, the journal, the snapshot and the state that a CLI reads.
local json = require "json"
local schema = require "state.schema"

local _M = {}

-- The routes alone: two releases with the same text need no change of the index.
function _M.routes(value)
    return schema.ROUTES.text(value.routes)
end

-- `value` is canonical (schema.lua).
_M.encode = schema.RECORD.text

-- Back from `encode`; null becomes nil, and what an older proxy has not written its default.
function _M.decode(value)
    local record, problem = json.decode(value)
    if not record then
        return nil, problem
    end
    return schema.RECORD.read(record)
end

return _M
