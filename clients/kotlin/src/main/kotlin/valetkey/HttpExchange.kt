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

/** What is sent along. */
internal sealed class Body {
    class Text(val text: String) : Body()

    /** Read while it is sent, never as a whole. */
    class FromFile(val file: File) : Body()
}

internal class HttpRequest(
    val method: String,
    val url: String,
    val headers: Map<String, String>,
    val body: Body?,
    /** How long the connection may be silent. */
    val silenceMs: Int,
)

/** Status and headers of an answer. */
internal class HttpHead(val status: Int, private val headers: Map<String, String>) {
    val isSuccess: Boolean get() = status in 200..299

    fun header(name: String): String? = headers[name.lowercase()]
}

/** A point in time on a clock that nobody sets. */
internal class Deadline(ms: Long) {
    private val endNanos = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ms)

    val leftMs: Long get() = TimeUnit.NANOSECONDS.toMillis(endNanos - System.nanoTime())
}

/**
 * One request on a thread of its own. A read of `HttpURLConnection` notices no interrupt, so the caller waits for a queue instead: that
 * ends at once when its thread is interrupted, when time is over, or when another thread calls [close].
 *
 * Android closes the socket of a closed exchange at once. The JVM does before the answer began; in the middle of a body that is sent in
 * chunks its lock is held by the read, and the socket is closed when the next bytes come (an event stream has some every 15 s).
 *
 * The JVM sends a request again by itself if a connection ended before the first byte of an answer, but not a file.
 */
internal class HttpExchange(private val request: HttpRequest) : Closeable {
    private sealed class Piece {
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

    /** Waits for the beginning of the answer. */
    @Throws(IOException::class, InterruptedException::class)
    fun head(deadline: Deadline): HttpHead = (take(deadline) as Piece.Head).head

    /** The next bytes of the body; null at its end. */
    @Throws(IOException::class, InterruptedException::class)
    fun read(deadline: Deadline): ByteArray? = (take(deadline) as? Piece.Bytes)?.bytes

    /** Lets go of the connection. What waits in [head] or [read] fails. */
    override fun close() {
        isClosed = true
        if (isAtEnd) return
        // Wakes the worker where it waits for room, and the caller where it waits for a piece.
        work.cancel(true)
        pieces.clear()
        pieces.offer(Piece.End)
        // On a thread of its own, since it may wait for the read that is going on.
        connection?.let { THREADS.execute { disconnect(it) } }
    }

    private fun take(deadline: Deadline): Piece {
        val piece = pieces.poll(maxOf(0, deadline.leftMs), TimeUnit.MILLISECONDS)
        if (isClosed) throw IOException("closed")
        when (piece) {
            null -> throw SocketTimeoutException("no answer in time")
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
            // Nothing was sent yet, and nothing is made or paid.
            if (isClosed) return
            request.body?.let { send(connection, it) }
            receive(connection)
            pieces.put(Piece.End)
        } catch (_: InterruptedException) {
            // Closed: nobody waits for it.
        } catch (refused: HttpRetryException) {
            // How the JVM says 401 when the body was streamed. The answer's own words are lost.
            pieces.offer(Piece.Head(HttpHead(refused.responseCode(), emptyMap())))
            pieces.offer(Piece.End)
        } catch (failure: IOException) {
            fail(failure)
        } catch (failure: Throwable) {
            // Android's own code is known to throw others than IOException for a broken answer; and whatever it is, somebody waits.
            fail(IOException(failure))
        } finally {
            if (isClosed) connection?.let(::disconnect)
        }
    }

    /** Behind what came before it, once there is room. */
    private fun fail(failure: IOException) {
        try {
            pieces.put(Piece.Failed(failure))
        } catch (_: InterruptedException) {
            // Closed: nobody waits for it.
        }
    }

    private fun disconnect(connection: HttpURLConnection) {
        try {
            connection.disconnect()
        } catch (_: RuntimeException) {
            // It is as good as gone.
        }
    }

    private fun open(): HttpURLConnection {
        val connection = URL(request.url).openConnection() as HttpURLConnection
        connection.requestMethod = request.method
        connection.instanceFollowRedirects = false
        connection.useCaches = false
        connection.connectTimeout = CONNECT_MS
        connection.readTimeout = request.silenceMs
        // Android would ask for gzip, and hold events back until a block is full.
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
        while (true) {
            val read = from.read(buffer)
            if (read < 0) return
            if (isClosed) throw IOException("closed")
            to.write(buffer, 0, read)
        }
    }

    private fun receive(connection: HttpURLConnection) {
        val status = connection.responseCode
        if (status < 0) throw IOException("no HTTP")
        pieces.put(Piece.Head(HttpHead(status, headersOf(connection))))
        // There is no error stream where the answer has no body.
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
        // The status line is there too, without a name.
        for ((name: String?, values) in connection.headerFields) if (name != null) headers[name.lowercase()] = values.last()
        return headers
    }

    private companion object {
        const val CONNECT_MS = 20_000
        const val BUFFER_BYTES = 8_192

        /** What the reader has not looked at yet is at most this much. */
        const val MAX_PIECES_AHEAD = 16
        const val IDLE_THREAD_SECS = 10L

        /** As many as there are requests. They keep no program from ending. */
        val THREADS = ThreadPoolExecutor(0, Int.MAX_VALUE, IDLE_THREAD_SECS, TimeUnit.SECONDS, SynchronousQueue()) { work ->
            Thread(work, "valetkey").apply { isDaemon = true }
        }
    }
}
