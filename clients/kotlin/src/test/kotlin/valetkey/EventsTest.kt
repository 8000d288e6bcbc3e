package valetkey

import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue

private const val AT_ONCE_MS = 1_000L

class EventsTest {
    private fun statesOf(api: ScriptedApi): List<String> =
        api.client().events(JOB).use { events -> generateSequence { events.next() }.map { it.status.wire }.toList() }

    @Test
    fun `each state is returned once, and a lost connection resumes where it left off`() {
        val first = events(": hello\n\n", status(1, "queued"), status(2, "processing"), "event: status\nid: 3\ndata: {\"job")
        val second = events(status(2, "processing"), "event: other\nid: 9\ndata: x\n\n", status(4, "succeeded"))
        ScriptedApi(first, second).use { api ->
            assertEquals(listOf("queued", "processing", "succeeded"), statesOf(api))
            assertEquals(listOf(null, "2"), api.received.map { it.headers["last-event-id"] })
            assertEquals("GET /v1/predictions/$JOB/events", api.received[0].line)
        }
    }

    @Test
    fun `polls if four streams are open already`() {
        ScriptedApi(refusal(429, "rate_limited"), answer(200, prediction("processing")), answer(200, prediction("succeeded"))).use { api ->
            assertEquals(listOf("processing", "succeeded"), statesOf(api))
            assertEquals("GET /v1/predictions/$JOB", api.received[2].line)
        }
    }

    private fun watching(transport: Transport, waits: MutableList<Long>) =
        PredictionEvents(transport, "/v1/predictions/$JOB", waiting = { _, ms -> waits.add(ms) })

    @Test
    fun `after a 429 it polls for a while, and then requests a stream again`() {
        val polled = Array(7) { answer(200, prediction("processing")) }
        ScriptedApi(refusal(429, "rate_limited"), *polled, events(status(2, "succeeded"))).use { api ->
            val waits = ArrayList<Long>()
            val states = watching(Transport(api.origin, Options(), { "t" }), waits).use { events -> generateSequence { events.next() }.map { it.status.wire }.toList() }
            assertEquals(listOf("processing", "succeeded"), states)
            assertEquals(List(9) { if (it in 1..7) "" else "/events" }, api.received.map { it.line.substringAfter(JOB) })
            assertEquals(8, waits.size)
            // After the back-off: 1.5 s at least, growing to 5 s.
            assertTrue(waits.drop(1).zipWithNext().all { (one, next) -> next > one - 50 } && waits[1] in 1_400..1_500 && waits.last() in 4_900..5_000, "$waits")
        }
    }

    @Test
    fun `many polled predictions share the polls of a minute, and those that ended or were closed leave their share`() {
        ScriptedApi().use { api ->
            val transport = Transport(api.origin, Options(), { "t" })
            val waits = ArrayList<Long>()
            val all = List(10) { watching(transport, waits) }
            for (events in all) {
                val first = api.received.size
                api.repeat { (if (api.received.size == first + 1) refusal(429, "rate_limited") else answer(200, prediction("processing")))(this) }
                assertEquals(PredictionStatus.PROCESSING, events.next()?.status)
            }
            val polls = api.received.size
            api.repeat { answer(200, prediction(if (api.received.size > polls + 1) "succeeded" else "processing"))(this) }
            assertEquals(PredictionStatus.SUCCEEDED, all[9].next()?.status)
            assertTrue(waits.last() in 14_900..15_000, "$waits")
            all.take(8).forEach { it.close() }
            assertEquals(1, transport.notePolling(all[9], false))
        }
    }

    @Test
    fun `a stream that ended with its token resumes with a new token`() {
        ScriptedApi(events(status(1, "processing")), refusal(401, "invalid_token"), events(status(2, "canceled"))).use { api ->
            assertEquals(listOf("processing", "canceled"), statesOf(api))
            assertEquals(2, api.tokens)
        }
    }

    @Test
    fun `a refusal ends the events`() {
        ScriptedApi(refusal(404, "not_found")).use { api ->
            assertEquals(Code.NOT_FOUND, assertFailsWith<ValetkeyException> { statesOf(api) }.code)
        }
    }

    @Test
    fun `a Retry-After above longestWaitSecs ends the events`() {
        ScriptedApi(events(status(1, "processing")), refusal(503, "upstream_unavailable", "Retry-After: 71")).use { api ->
            val error = assertFailsWith<ValetkeyException> { statesOf(api) }
            assertEquals(listOf(Code.UPSTREAM_UNAVAILABLE, 71L), listOf(error.code, error.retryAfterSecs))
        }
    }

    @Test
    fun `a response that is not an event stream, and events that cannot be parsed, end in an error`() {
        for (step in listOf(answer(200, "<html>", "Content-Type: text/html"), events("event: status\nid: 1\ndata: {}\n\n"))) {
            ScriptedApi(step).use { api ->
                api.repeat(step)
                val watching = PredictionEvents(Transport(api.origin, Options(), { "t" }), "/v1/predictions/$JOB", patienceMs = 1_500)
                assertEquals(Code.UNREADABLE_ANSWER, watching.use { assertFailsWith<ValetkeyException> { it.next() }.code })
                assertTrue(api.received.size in 2..8, "${api.received.size} times")
            }
        }
    }

    /**
     * The JVM closes a stream that is being read only when bytes arrive. This stream sends some soon after the
     * interrupt.
     */
    private val streamWithHeartbeat: Step = {
        events(status(1, "processing"))(this)
        Thread.sleep(1_000)
        say("3\r\n: \n\r\n")
    }

    /**
     * Runs [call] on a thread, passes the thread to [stop], and returns the milliseconds from then until [call] ended.
     */
    private fun endsAfter(call: () -> Unit, stop: (Thread) -> Unit): Long {
        val caller = thread { call() }
        Thread.sleep(500)
        val stoppedAt = System.nanoTime()
        stop(caller)
        caller.join(20_000)
        return (System.nanoTime() - stoppedAt) / 1_000_000
    }

    @Test
    fun `close from another thread ends a wait at once`() {
        ScriptedApi().use { api ->
            api.hangAfter(events(status(1, "processing")))
            val events = api.client().events(JOB)
            assertEquals(PredictionStatus.PROCESSING, events.next()?.status)
            var last: Prediction? = Prediction(JOB, PredictionStatus.QUEUED, MODEL, "")
            val ms = endsAfter({ last = events.next() }, { events.close() })
            assertTrue(ms < AT_ONCE_MS, "$ms ms")
            assertNull(last)
        }
    }

    @Test
    fun `a create that is interrupted while it connects is not sent`() {
        ServerSocket(0, 1, InetAddress.getByName("127.0.0.1")).use { server ->
            // Fills the server's backlog, so that the client's connection is not established yet.
            val first = List(2) { Socket(server.inetAddress, server.localPort) }
            val client = Valetkey("http://127.0.0.1:${server.localPort}") { "t" }
            assertTrue(endsAfter({ runCatching { client.create(MODEL, INPUT) } }, Thread::interrupt) < AT_ONCE_MS)
            first.forEach { it.close() }
            server.soTimeout = 4_000
            val accepted = generateSequence { runCatching { server.accept() }.getOrNull() }.toList()
            assertEquals(3, accepted.size)
            // Each connection ends before its first byte.
            assertEquals(listOf(-1, -1, -1), accepted.map { socket -> socket.use { it.getInputStream().read() } })
        }
    }

    @Test
    fun `an interrupt ends a create, a wait and a pause at once, and closes the connection`() {
        val calls = mapOf<String, Pair<Step, (Valetkey) -> Unit>>(
            "create" to Pair({}, { it.create(MODEL, INPUT) }),
            "wait" to Pair(streamWithHeartbeat, { it.wait(JOB) }),
        )
        for ((name, pair) in calls) {
            ScriptedApi().use { api ->
                val (step, call) = pair
                api.hangAfter(step)
                val client = api.client()
                var thrown: Throwable? = null
                val ms = endsAfter({ thrown = runCatching { call(client) }.exceptionOrNull() }, Thread::interrupt)
                assertTrue(ms < AT_ONCE_MS, "$name: $ms ms")
                assertTrue(thrown is InterruptedException, "$name: $thrown")
                Thread.sleep(AT_ONCE_MS)
                assertEquals(1, api.released.get(), "$name: closed connections")
            }
        }
        ScriptedApi(refusal(429, "rate_limited", "Retry-After: 30")).use { api ->
            val client = api.client()
            assertTrue(endsAfter({ runCatching { client.get(JOB) } }, Thread::interrupt) < AT_ONCE_MS)
        }
    }
}
