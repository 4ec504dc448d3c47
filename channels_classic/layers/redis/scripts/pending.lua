-- Returns the number and the age of the entries in a queue that have not expired.
--
-- KEYS  pattern             type  what for; when it ends
--   1   asgi:queue:<queue>  list  the queue; with its last entry
--
-- Returns the time in microseconds (16 digits), the number of entries that have not expired, and the time of expiry
-- of the first of these (see send.lua), "" if there is none.

local time = redis.call("TIME")
local now = string.format("%010d%06d", time[1], time[2])

local function expiry(position)
    return string.sub(redis.call("LINDEX", KEYS[1], position), 1, 16)
end

-- Entries expire in their order, so a binary search finds the first one that has not expired.
local length = redis.call("LLEN", KEYS[1])
local first, behind = 0, length
while first < behind do
    local middle = math.floor((first + behind) / 2)
    if expiry(middle) < now then
        first = middle + 1
    else
        behind = middle
    end
end
return { now, length - first, first < length and expiry(first) or "" }
