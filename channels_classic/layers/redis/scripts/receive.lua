-- Takes messages from queues. A busy queue does not starve the others.
--
-- KEYS  pattern             type    what for; when it ends
--   1   asgi:epoch          string  identifies the data in this server (see epochs.py); never
--   …   asgi:queue:<queue>  list    the queues, another one first each time; with their last entry
--
-- ARGV
--   1  how many messages at the most, over all queues; 0 for as many as the further arguments say
--   2  the epoch to set where there is none
--   3  the time after which the reader has given up, in microseconds: then nothing is taken; 0 for no limit
--   …  with ARGV[1] = 0, how many messages at the most of each queue
--
-- Returns what hand_out.lua makes, with the state 0.

local time = redis.call("TIME")
local limit = tonumber(ARGV[1])
local queues = #KEYS - 1
local latest = tonumber(ARGV[3])
local taken = {}

if latest > 0 and latest < time[1] * 1e6 + time[2] then
    limit = -1
end

if limit == 0 then
    for q = 1, queues do
        local count = tonumber(ARGV[3 + q])
        taken[q] = count > 0 and pop(q, KEYS[q + 1], count) or {}
    end
elseif limit > 0 then
    -- Each queue with messages gets an equal share. The rest goes to queues that have more.
    local share = math.max(1, math.floor(limit / queues))
    for q = 1, queues do
        local count = math.min(share, limit)
        taken[q] = count > 0 and pop(q, KEYS[q + 1], count) or {}
        limit = limit - #taken[q]
    end
    for q = 1, queues do
        if limit > 0 and #taken[q] >= share then
            local values = pop(q, KEYS[q + 1], limit)
            for _, value in ipairs(values) do
                taken[q][#taken[q] + 1] = value
            end
            limit = limit - #values
        end
    end
end

local epoch = epoch_of(KEYS[1], ARGV[2])

return answer_of(taken, queues, string.format("%010d%06d", time[1], time[2]), epoch, 0, 0)
