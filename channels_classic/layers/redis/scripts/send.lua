-- Appends messages to queues, within their capacities. If the sender has remembered routes of groups, and these
-- have changed, it appends nothing, and returns the present routes.
--
-- KEYS  pattern                  type        what for; when it ends
--   …   asgi:routes:<group>      sorted set  for every group whose routes the sender remembers; see group_add.lua
--   then three for every queue:
--       asgi:queue:<queue>       list        what is sent to one channel, or to all channels of one process; with its
--                                            last entry
--       asgi:paused:<queue>      set         the local parts of the process's channels that refuse messages at the
--                                            moment; an hour after the last change
--       or asgi:bell:<queue>     list        of a normal channel: at most one token, for the takers that wait; see
--                                            take.lua
--       asgi-meta:queue:<kind>   hash        statistics: messages_count, channel_full_count; never, or for a process
--                                            ARGV[2] after its last message; swept: when the queue was last searched
--                                            for what has expired
--   then, if ARGV[3] is not "":
--       asgi:clients:<process>   hash        the wills of the sockets of an interface server; with the last of them
--       asgi:orders:<process>    hash        the orders of their last messages; with them
--       asgi:sent:<taker>        string      the number of the last shipment of a taker; if something of it was refused,
--                                            the positions behind, each after a space; ten minutes
--       asgi:beats               sorted set  the processes, by their last heartbeat; see beat.lua
--       asgi:epoch               string      identifies the data in this server; never
--   and last, two more:
--       asgi:gone                sorted set  the processes that have ended a short while ago; see claim.lua
--       asgi-meta:totals         hash        statistics of all queues together; never
--
-- ARGV
--   1  the time after which the sender has given up, in microseconds; 0 for no limit
--   2  seconds for which the statistics of a process's queue are kept
--   3  the process that sends, if it sends heartbeats or has sockets, else ""
--   4  the epoch in which the process was registered; "" if it was not
--   5  the number of the shipment, if a taker sends it, else "": one that has arrived before is not sent again
--   6  the number of sockets to store; then, for each: the position of its message, the local part of its reply
--      channel, the order of the message ("" if it has closed), its will ("" for none)
--   …  the number of groups; then, for every group, the number of its routes and these, sorted
--   …  for every run of messages to one queue: the number of the queue, from 1, capacity (-1: no limit), life in
--      microseconds, whether refusals count in the statistics (1 or 0; another server may still take them), whether the
--      second key is a bell (1 or 0), number of messages n, then n times: the local part of the channel ("" where
--      nothing can be paused), body
--
-- An entry of a queue is the time of expiry, 16 digits of microseconds by this server's clock, and the body.
-- Returns the time, 16 digits of microseconds, if all was sent. Otherwise it returns a list: the positions, from 0
-- over all messages of the call, of those that were refused; if routes have changed, for every group the list of
-- its routes; the time; and 0, or the reason why nothing was sent: 1 if the sender has given up, 2 if its process
-- was declared dead, 3 if a later shipment of the taker has overtaken this one.

local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local totals = KEYS[#KEYS]
local refused = {}
local position = 0
local all_sent, all_refused = 0, 0

local stamp_now = string.format("%016d", now)

-- Makes room in a queue by removing the expired entries at its front.
local function drop_expired(queue)
    local expired
    repeat
        expired = 0
        for _, entry in ipairs(redis.call("LRANGE", queue, 0, 99)) do
            if string.sub(entry, 1, 16) >= stamp_now then
                break
            end
            expired = expired + 1
        end
        if expired > 0 then
            redis.call("LPOP", queue, expired)
        end
    until expired < 100
    return redis.call("LLEN", queue)
end

-- The same for expired entries behind entries that expire later, such as those that were put back. This reads
-- every entry, so it is done only now and then.
local function drop_all_expired(queue, statistics, life)
    local last = tonumber(redis.call("HGET", statistics, "swept") or 0)
    if now < last + math.min(1e6, life / 10) then
        return
    end
    redis.call("HSET", statistics, "swept", stamp_now)
    local expired = false
    for first = 0, redis.call("LLEN", queue) - 1, 100 do
        for offset, entry in ipairs(redis.call("LRANGE", queue, first, first + 99)) do
            if string.sub(entry, 1, 16) < stamp_now then
                redis.call("LSET", queue, first + offset - 1, "")
                expired = true
            end
        end
    end
    if expired then
        redis.call("LREM", queue, 0, "")
    end
end

local latest = tonumber(ARGV[1])
if latest > 0 and latest < now then
    return { refused, {}, stamp_now, 1 }
end
if ARGV[4] ~= "" and not redis.call("ZSCORE", KEYS[#KEYS - 3], ARGV[3])
    and redis.call("GET", KEYS[#KEYS - 2]) == ARGV[4] then
    return { refused, {}, stamp_now, 2 }
end

if ARGV[5] ~= "" then
    local last = redis.call("GET", KEYS[#KEYS - 4])
    local number = last and (tonumber(last) or tonumber(string.match(last, "^%d+")))
    if number and number > tonumber(ARGV[5]) then
        return { refused, {}, stamp_now, 3 }
    elseif number and number == tonumber(ARGV[5]) then
        for one in string.gmatch(last, " (%d+)") do
            refused[#refused + 1] = tonumber(one)
        end
        return { refused, {}, stamp_now, 0 }
    end
end

local gone = KEYS[#KEYS - 1]
local sockets = tonumber(ARGV[6])
local groups = tonumber(ARGV[7 + 4 * sockets])
local argument = 8 + 4 * sockets
local routes, changed = {}, false
for g = 1, groups do
    -- Nothing is written before the messages, because a full Redis refuses a script at its first write only.
    routes[g] = redis.call("ZRANGEBYSCORE", KEYS[g], math.floor(now / 1000), "+inf")
    table.sort(routes[g])
    local count = tonumber(ARGV[argument])
    changed = changed or count ~= #routes[g]
    for r = 1, count do
        changed = changed or ARGV[argument + r] ~= routes[g][r]
    end
    argument = argument + count + 1
end
if changed then
    for g = 1, groups do
        redis.call("ZREMRANGEBYSCORE", KEYS[g], "-inf", "(" .. math.floor(now / 1000))
    end
    return { refused, routes, stamp_now, 0 }
end

while argument <= #ARGV do
    local first_key = groups + 3 * ARGV[argument] - 2
    local capacity = tonumber(ARGV[argument + 1])
    local life = tonumber(ARGV[argument + 2])
    local refusals_count = ARGV[argument + 3] == "1"
    local has_bell = ARGV[argument + 4] == "1"
    local count = tonumber(ARGV[argument + 5])
    argument = argument + 6

    local queue, paused, statistics = KEYS[first_key], KEYS[first_key + 1], KEYS[first_key + 2]
    local of_process = string.sub(queue, -1) == "!"
    local length = redis.call("LLEN", queue)
    local is_gone = of_process and length == 0
        and redis.call("ZSCORE", gone, string.match(queue, "([^:]*)!$")) ~= false
    local room = count
    if capacity >= 0 then
        room = capacity - length
        if room < count and room < capacity then
            room = capacity - drop_expired(queue)
            if room < count and room < capacity then
                drop_all_expired(queue, statistics, life)
                room = capacity - redis.call("LLEN", queue)
            end
        end
    end
    local somebody_paused = of_process and redis.call("EXISTS", paused) == 1
    local stamp = string.format("%016d", now + life)

    local values = {}
    for _ = 1, count do
        local name, body = ARGV[argument], ARGV[argument + 1]
        argument = argument + 2
        if #values >= room
            or (somebody_paused and name ~= "" and redis.call("SISMEMBER", paused, name) == 1) then
            refused[#refused + 1] = position
        elseif not is_gone then
            values[#values + 1] = stamp .. body
        end
        position = position + 1
    end

    local sent = #values
    if has_bell and sent > 0 and room == capacity and redis.call("EXISTS", paused) == 0 then
        redis.call("RPUSH", paused, "1")
        redis.call("EXPIRE", paused, ARGV[2])
    end
    for first = 1, sent, 1000 do
        redis.call("RPUSH", queue, unpack(values, first, math.min(first + 999, sent)))
    end
    if sent > 0 then
        local milliseconds = math.ceil(life / 1000)
        if not of_process or redis.call("PTTL", queue) < milliseconds then
            redis.call("PEXPIRE", queue, milliseconds)
        end
        redis.call("HINCRBY", statistics, "messages_count", sent)
    end
    if is_gone then
        sent = 0
    elseif count > sent and refusals_count then
        redis.call("HINCRBY", statistics, "channel_full_count", count - sent)
        all_refused = all_refused + count - sent
    end
    if of_process and not is_gone then
        redis.call("EXPIRE", statistics, ARGV[2])
    end
    all_sent = all_sent + sent
end

if all_sent > 0 then
    redis.call("HINCRBY", totals, "messages_count", all_sent)
end
if all_refused > 0 then
    redis.call("HINCRBY", totals, "channel_full_count", all_refused)
end
if sockets > 0 then
    local is_refused, orders, left = {}, {}, {}
    for _, one in ipairs(refused) do
        is_refused[one] = true
    end
    local clients_key, orders_key = KEYS[#KEYS - 6], KEYS[#KEYS - 5]
    for first = 7, 6 + 4 * sockets, 4 do
        local name, order, will = ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
        if not is_refused[tonumber(ARGV[first])] then
            if order == "" then
                left[#left + 1] = name
            else
                orders[#orders + 1] = name
                orders[#orders + 1] = order
                if will ~= "" then
                    redis.call("HSET", clients_key, name, will)
                end
            end
        end
    end
    for first = 1, #orders, 1000 do
        redis.call("HSET", orders_key, unpack(orders, first, math.min(first + 999, #orders)))
    end
    for first = 1, #left, 1000 do
        redis.call("HDEL", clients_key, unpack(left, first, math.min(first + 999, #left)))
        redis.call("HDEL", orders_key, unpack(left, first, math.min(first + 999, #left)))
    end
end
if ARGV[5] ~= "" then
    local outcome = #refused == 0 and ARGV[5] or ARGV[5] .. " " .. table.concat(refused, " ")
    redis.call("SET", KEYS[#KEYS - 4], outcome, "EX", 600)
end
if #refused == 0 then
    return stamp_now
end
return { refused, {}, stamp_now, 0 }
