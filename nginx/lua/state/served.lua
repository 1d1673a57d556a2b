-- Which releases of an app ever got traffic: numbers as text, such as `3,4,7`, the one that was flipped in last at the
-- end. It is worked out from the flips, so it needs no line of its own in the journal.
local canary = require "state.canary"

local _M = {}

-- Far more than anybody keeps images of.
local MOST = 50

-- Adds the releases of a record's peers. A record without peers, as of an app scaled to zero, serves nothing; and a canary is on
-- trial, so that nothing goes back to one that was aborted.
function _M.with(text, record)
    local brought, order = {}, {}
    for _, peer in ipairs(record.peers) do
        if not brought[peer.release] and not canary.has(record, peer) then
            brought[peer.release] = true
            order[#order + 1] = peer.release
        end
    end
    table.sort(order)
    local all = {}
    for number in (text or ""):gmatch("%d+") do
        if not brought[tonumber(number)] then
            all[#all + 1] = number
        end
    end
    for _, release in ipairs(order) do
        all[#all + 1] = ("%d"):format(release)
    end
    return table.concat(all, ",", math.max(1, #all - MOST + 1))
end

return _M
