package valetkey

import java.io.Closeable
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.net.HttpRetryException
import java.net.HttpURLConnection
import java.net.SocketTimeoutException
import java.net.URL
import java.util.concurrent.Future
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.SynchronousQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/** The body of a request. */
internal sealed class Body {
    class Text(val text: String) : Body()

    /** A file that is streamed from disk, never held in memory as a whole. */
    class FromFile(val file: File) : Body()
}

internal class HttpRequest(
    val method: String,
    val url: String,
    val headers: Map<String, String>,
    val body: Body?,
    /** The longest time without a byte from the server. */
    val silenceMs: Int,
)

/** Status and headers of a response. */
internal class HttpHead(val status: Int, private val headers: Map<String, String>) {
    val isSuccess: Boolean get() = status in 200..299

    fun header(name: String): String? = headers[name.lowercase()]
}

private const val IDLE_THREAD_SECS = 10L

/** One thread for each request in flight. They are daemons and do not keep the process alive. */
internal val THREADS = ThreadPoolExecutor(0, Int.MAX_VALUE, IDLE_THREAD_SECS, TimeUnit.SECONDS, SynchronousQueue()) { work ->
    Thread(work, "valetkey").apply { isDaemon = true }
}

/** A point in time on the monotonic clock, [ms] milliseconds from now. */
internal class Deadline(ms: Long) {
    private val endNanos = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ms)

    val leftMs: Long get() = TimeUnit.NANOSECONDS.toMillis(endNanos - System.nanoTime())
}

/**
 * One request on its own thread. A read of `HttpURLConnection` ignores interrupts, so the caller waits on a queue
 * instead. That wait ends at once when the caller's thread is interrupted, when the deadline passes, or when another
 * thread calls [close].
 *
 * Android closes the socket of a closed exchange at once. The JVM does so only before the response begins. In the
 * middle of a chunked body, the pending read holds the JVM's lock: the socket closes when the next bytes arrive (on an
 * event stream every 15 s).
 *
 * The JVM by itself resends a request whose connection ended before the first byte of the response. It does not resend
 * a file.
 */
internal class HttpExchange(private val request: HttpRequest) : Closeable {
    private sealed class Piece {
        /** How many bytes of the request's file are sent. */
        class Sent(val bytes: Long) : Piece()
        class Head(val head: HttpHead) : Piece()
        class Bytes(val bytes: ByteArray) : Piece()
        class Failed(val cause: Exception) : Piece()
        object End : Piece()
    }

    private val pieces = LinkedBlockingQueue<Piece>(MAX_PIECES_AHEAD)
    private val work: Future<*>

    @Volatile
    private var connection: HttpURLConnection? = null

    @Volatile
    private var isClosed = false

    @Volatile
    private var isAtEnd = false

    init {
        work = THREADS.submit(::exchange)
    }

    /** Waits for the status and the headers of the response. Calls [onSent] while the request's file is being sent. */
    @Throws(IOException::class, InterruptedException::class)
    fun head(deadline: Deadline, onSent: (Long) -> Unit): HttpHead {
        while (true) {
            val piece = take(deadline)
            if (piece !is Piece.Sent) return (piece as Piece.Head).head
            onSent(piece.bytes)
        }
    }

    /** Waits for the next bytes of the body and returns them, or null at its end. */
    @Throws(IOException::class, InterruptedException::class)
    fun read(deadline: Deadline): ByteArray? = (take(deadline) as? Piece.Bytes)?.bytes

    /** Closes the connection. A pending [head] or [read] fails. */
    override fun close() {
        isClosed = true
        if (isAtEnd) return
        // Wakes the worker if it waits for room in the queue, and the caller if it waits for a piece.
        work.cancel(true)
        pieces.clear()
        pieces.offer(Piece.End)
        // On another thread, since disconnecting may block on a pending read.
        connection?.let { THREADS.execute { disconnect(it) } }
    }

    private fun take(deadline: Deadline): Piece {
        val piece = pieces.poll(maxOf(0, deadline.leftMs), TimeUnit.MILLISECONDS)
        if (isClosed) throw IOException("closed")
        when (piece) {
            null -> throw SocketTimeoutException("no response in time")
            is Piece.Failed -> throw piece.cause
            is Piece.End -> isAtEnd = true
            else -> Unit
        }
        return piece
    }

    private fun exchange() {
        try {
            val connection = open()
            this.connection = connection
            request.body?.let { announce(connection, it) }
            connection.connect()
            // Closed before anything was sent: nothing is made or billed.
            if (isClosed) return
            request.body?.let { send(connection, it) }
            receive(connection)
            pieces.put(Piece.End)
        } catch (_: InterruptedException) {
            // Closed: no caller waits for the result.
        } catch (refused: HttpRetryException) {
            // The JVM throws this for a 401 if the request's body was streamed. It discards the response's body.
            end(Piece.Head(HttpHead(refused.responseCode(), emptyMap())), Piece.End)
        } catch (failure: IOException) {
            end(Piece.Failed(failure))
        } catch (failure: Throwable) {
            // Android's HTTP stack is known to throw other types than IOException for a malformed response. The caller
            // needs a result in any case.
            end(Piece.Failed(IOException(failure)))
        } finally {
            if (isClosed) connection?.let(::disconnect)
        }
    }

    /** Queues [last] behind the pieces that the caller has not taken yet, as soon as there is room. */
    private fun end(vararg last: Piece) {
        try {
            last.forEach(pieces::put)
        } catch (_: InterruptedException) {
            // Closed: no caller waits for the result.
        }
    }

    private fun disconnect(connection: HttpURLConnection) {
        try {
            connection.disconnect()
        } catch (_: RuntimeException) {
            // The connection is discarded anyway.
        }
    }

    private fun open(): HttpURLConnection {
        val connection = URL(request.url).openConnection() as HttpURLConnection
        connection.requestMethod = request.method
        connection.instanceFollowRedirects = false
        connection.useCaches = false
        connection.connectTimeout = CONNECT_MS
        connection.readTimeout = request.silenceMs
        // By default Android requests gzip, and its decoder holds events back until a block is full.
        connection.setRequestProperty("Accept-Encoding", "identity")
        for ((name, value) in request.headers) connection.setRequestProperty(name, value)
        return connection
    }

    private fun announce(connection: HttpURLConnection, body: Body) {
        connection.doOutput = true
        if (body is Body.FromFile) connection.setFixedLengthStreamingMode(body.file.length())
    }

    private fun send(connection: HttpURLConnection, body: Body) {
        connection.outputStream.use { out ->
            when (body) {
                is Body.Text -> out.write(body.text.toByteArray())
                is Body.FromFile -> body.file.inputStream().use { file -> copy(file, out) }
            }
        }
    }

    private fun copy(from: InputStream, to: OutputStream) {
        val buffer = ByteArray(BUFFER_BYTES)
        var sent = 0L
        while (true) {
            val read = from.read(buffer)
            if (read < 0) return
            if (isClosed) throw IOException("closed")
            to.write(buffer, 0, read)
            sent += read
            // Dropped if the caller is slow: a later one says more, and the upload must not wait.
            pieces.offer(Piece.Sent(sent))
        }
    }

    private fun receive(connection: HttpURLConnection) {
        val status = connection.responseCode
        if (status < 0) throw IOException("not HTTP")
        pieces.put(Piece.Head(HttpHead(status, headersOf(connection))))
        // `errorStream` is null if the response has no body.
        val body: InputStream? = if (status >= 400) connection.errorStream else connection.inputStream
        body?.use {
            val buffer = ByteArray(BUFFER_BYTES)
            while (true) {
                val read = it.read(buffer)
                if (read < 0) break
                pieces.put(Piece.Bytes(buffer.copyOf(read)))
            }
        }
    }

    private fun headersOf(connection: HttpURLConnection): Map<String, String> {
        val headers = HashMap<String, String>()
        // `headerFields` also has the status line, under a null name.
        for ((name: String?, values) in connection.headerFields) if (name != null) headers[name.lowercase()] = values.last()
        return headers
    }

    private companion object {
        const val CONNECT_MS = 20_000
        const val BUFFER_BYTES = 8_192

        /** How many pieces, of up to [BUFFER_BYTES] each, are read ahead of the caller. */
        const val MAX_PIECES_AHEAD = 16
    }
}
