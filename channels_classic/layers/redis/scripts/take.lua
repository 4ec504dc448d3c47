-- Takes messages for a taker, and keeps them as in-flight in the same step.
--
-- A taker waits for a token on the bells of its channels, and not for a message, because a message that BLPOP
-- takes would not be in-flight. A command that puts a message into an empty queue rings its bell, if there is no
-- token yet. One token wakes one taker. If that taker leaves something behind, this script rings again. So as many
-- takers wake up as are needed.
--
-- KEYS  pattern                type        what for; when it ends
--   1   asgi:epoch             string      identifies the data in this server (see epochs.py); never
--   2   asgi:beats             sorted set  the processes that beat; see beat.lua
--   3   asgi:inflight:<taker>  list        the number of the batch, the time at which it was taken, and for each
--                                          queue ">" with its key, and its entries behind; until the taker is done
--   …   asgi:queue:<queue>     list        the queues of normal channels, another one first each time, then those of
--                                          other channels, whose messages are not kept; with their last entry
-- Made here of ARGV[11]:
--       asgi:bell:<queue>      list        the bell of a normal channel, with one token or none; a day after it rang
--       asgi:takers:<process>  set         the numbers of the process's takers; with the process
--
-- ARGV
--   1  how many messages at the most, over all queues; 0 for as many as the further arguments say
--   2  the epoch to set where there is none
--   3  the time after which the taker has given up, in microseconds: then nothing is taken; 0 for no limit
--   4  the process of the taker
--   5  the epoch in which the process was registered; "" if it was not
--   6  the number of the taker
--   7  the epoch in which this server has told the taker that it knows it; "" if it has not
--   8  the number of the batch
--   9  the number of the last batch that the taker has received, and is done with
--  10  the number of normal channels
--  11  the prefix of all keys
--   …  with ARGV[1] = 0, how many messages at the most of each queue
--
-- Returns what hand_out.lua makes, with the state 0. Instead of the 0 there is 1 if the process was declared
-- dead, or a list of what the taker has in-flight and has not received. In both cases nothing is taken.

local time = redis.call("TIME")
local now = string.format("%010d%06d", time[1], time[2])
local limit = tonumber(ARGV[1])
local latest = tonumber(ARGV[3])
local normal = tonumber(ARGV[10])
local queues = #KEYS - 3
local taken = {}

local function ring(queue)
    local bell = ARGV[11] .. "bell:" .. string.sub(queue, #ARGV[11] + 7)
    if redis.call("EXISTS", bell) == 0 then
        redis.call("RPUSH", bell, "1")
        redis.call("EXPIRE", bell, 86400)
    end
end

local lapsed = ARGV[5] ~= "" and not redis.call("ZSCORE", KEYS[2], ARGV[4])
    and redis.call("GET", KEYS[1]) == ARGV[5]
local takes = not lapsed and not (latest > 0 and latest < time[1] * 1e6 + time[2])
local state = lapsed and 1 or 0
if takes then
    local batch = redis.call("LINDEX", KEYS[3], 0)
    if batch == ARGV[9] then
        redis.call("UNLINK", KEYS[3])
    elseif batch then
        takes = false
        -- A greater number belongs to a later round trip, which has overtaken this one. Its batch must not be
        -- touched.
        if tonumber(batch) < tonumber(ARGV[8]) then
            state = redis.call("LRANGE", KEYS[3], 0, -1)
        end
    end
end

local share = limit > 0 and math.max(1, math.floor(limit / queues))
local is_empty = {}
for q = 1, queues do
    local count = 0
    if takes then
        count = share and math.min(share, limit) or tonumber(ARGV[11 + q])
    end
    taken[q] = count > 0 and pop(q, KEYS[3 + q], count) or {}
    is_empty[q] = #taken[q] < count
    limit = limit - #taken[q]
end
if takes and share then
    for q = 1, queues do
        if limit > 0 and not is_empty[q] then
            local values = pop(q, KEYS[3 + q], limit)
            is_empty[q] = #values < limit
            for _, value in ipairs(values) do
                taken[q][#taken[q] + 1] = value
            end
            limit = limit - #values
        end
    end
end

local epoch = epoch_of(KEYS[1], ARGV[2])

local is_kept = false
for q = 1, normal do
    local values = taken[q]
    local length = #values
    if length > 0 then
        local queue = ">" .. KEYS[3 + q]
        if is_kept then
            redis.call("RPUSH", KEYS[3], queue, unpack(values, 1, math.min(1000, length)))
        else
            redis.call("RPUSH", KEYS[3], ARGV[8], now, queue, unpack(values, 1, math.min(1000, length)))
            is_kept = true
        end
        for first = 1001, length, 1000 do
            redis.call("RPUSH", KEYS[3], unpack(values, first, math.min(first + 999, length)))
        end
    end
    if not is_empty[q] and redis.call("EXISTS", KEYS[3 + q]) == 1 then
        ring(KEYS[3 + q])
    end
end

if takes and ARGV[7] ~= epoch then
    -- A full Redis refuses this if nothing was taken. Then the next round trip does it.
    redis.pcall("SADD", ARGV[11] .. "takers:" .. ARGV[4], ARGV[6])
end

return answer_of(taken, queues, now, epoch, state, 0)
