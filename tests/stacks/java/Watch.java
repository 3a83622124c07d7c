/* Watch URL: prints each message. All that confirms one is the PONG that java.net.http sends by itself. */
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

public class Watch implements WebSocket.Listener {
	private final CompletableFuture<String> end = new CompletableFuture<>();
	private final StringBuilder message = new StringBuilder();

	@Override
	public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
		message.append(part);
		if (last) {
			System.out.println(message);
			message.setLength(0);
		}
		socket.request(1);
		return null;
	}

	@Override
	public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
		end.complete("closed: " + code + " " + reason);
		return null;
	}

	@Override
	public void onError(WebSocket socket, Throwable error) {
		end.completeExceptionally(error);
	}

	public static void main(String[] arguments) {
		Watch watch = new Watch();

		HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(URI.create(arguments[0]), watch).join();
		System.err.println(watch.end.join());
	}
}
