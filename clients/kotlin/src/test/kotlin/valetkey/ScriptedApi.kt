package valetkey

import java.io.BufferedInputStream
import java.io.Closeable
import java.io.InputStream
import java.io.OutputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread

internal const val JOB = "pred_01jh0000000000000000000000"
internal const val MODEL = "black-forest-labs/flux-kontext-max"
internal val INPUT = mapOf("prompt" to "A serene Japanese garden")

internal class Received(val line: String, val headers: Map<String, String>, val body: ByteArray)

/** How the API responds to one request. The connection closes after it. */
internal typealias Step = OutputStream.() -> Unit

/** A fake API on a socket. It responds to the first request with the first step, and so on. */
internal class ScriptedApi(vararg steps: Step) : Closeable {
    private val steps = ArrayDeque(steps.toList())
    private var last: Step? = null
    private val hanging = HashSet<Step?>()
    private val socket = ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"))
    val received = CopyOnWriteArrayList<Received>()
    val origin = "http://127.0.0.1:${socket.localPort}"
    var tokens = 0

    /** How many of the connections that [hangAfter] kept open the client has closed. */
    val released = AtomicInteger()

    init {
        thread(isDaemon = true) {
            while (!socket.isClosed) {
                val connection = runCatching { socket.accept() }.getOrNull() ?: break
                thread(isDaemon = true) { connection.use(::serve) }
            }
        }
    }

    fun client(options: Options = Options()) = Valetkey(origin, options) {
        tokens += 1
        jwt(1_768_473_000, 1_768_473_300, ",\"jti\":\"$tokens\"")
    }

    /** Stops the server. Fails if a step was not used. */
    override fun close() {
        socket.close()
        check(steps.isEmpty()) { "${steps.size} steps were not used" }
    }

    private fun serve(connection: Socket) {
        val input = BufferedInputStream(connection.getInputStream())
        val line = lineOf(input)
        val fields = generateSequence { lineOf(input).ifEmpty { null } }
        val headers = fields.associate { it.substringBefore(':').lowercase() to it.substringAfter(": ") }
        val body = input.readNBytes(headers["content-length"]?.toInt() ?: 0)
        val step = synchronized(steps) {
            received.add(Received(line.removeSuffix(" HTTP/1.1"), headers, body))
            steps.removeFirstOrNull() ?: last
        }
        runCatching { (step ?: refusal(500, "one_request_too_many"))(connection.getOutputStream()) }
        if (step in hanging) {
            runCatching { input.read() }
            released.incrementAndGet()
        }
    }

    /** Responds with [step] to each request after the last step. */
    fun repeat(step: Step): Unit = synchronized(steps) { last = step }

    /** Responds to the next request with [step], then keeps the connection open until the client closes it. */
    fun hangAfter(step: Step): Unit = synchronized(steps) {
        steps.addLast(step)
        hanging.add(step)
    }
}

private fun lineOf(input: InputStream): String {
    val line = StringBuilder()
    while (true) {
        val byte = input.read()
        if (byte < 0 || byte == '\n'.code) return line.toString().trimEnd('\r')
        line.append(byte.toChar())
    }
}

internal fun OutputStream.say(text: String) {
    write(text.toByteArray())
    flush()
}

internal fun answer(status: Int, body: String, vararg headers: String): Step = {
    val fields = (headers.toList() + "Content-Length: ${body.toByteArray().size}" + "Connection: close").joinToString("") { "$it\r\n" }
    say("HTTP/1.1 $status Whatever\r\n$fields\r\n$body")
}

internal fun prediction(status: String, more: String = ""): String =
    """{"job_id":"$JOB","status":"$status","model":"$MODEL","created_at":"2026-01-15T10:30:00Z","completed_at":null,"output":[],""" +
        """"error":null,"credits_used":null,"metrics":{"predict_time":null}$more}"""

internal fun refusal(status: Int, code: String, vararg headers: String, details: String = "{}"): Step =
    answer(status, """{"error":{"type":"t","message":"m","code":"$code","request_id":"req_1","details":$details}}""", *headers)

/** Closes the connection before a response. */
internal val lost: Step = {}

/** A chunked event stream that breaks off after [events]. */
internal fun events(vararg events: String): Step = {
    say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for (event in events) say("${event.toByteArray().size.toString(16)}\r\n$event\r\n")
}

internal fun status(id: Int, status: String, more: String = "") = "event: status\nid: $id\ndata: ${prediction(status, more)}\n\n"
