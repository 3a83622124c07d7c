/* Call TOKEN: one HTTP call for each line of standard input, METHOD URL [BODY], answered by a line with the status and
 * the body. The client is as it comes: it asks for HTTP/2 (Upgrade: h2c) and keeps its connections. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

public class Call {
	public static void main(String[] arguments) throws Exception {
		BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
		HttpClient client = HttpClient.newHttpClient();

		for (String line; (line = input.readLine()) != null;) {
			String[] words = line.split(" ", 3);
			HttpRequest request = HttpRequest.newBuilder(URI.create(words[1]))
				.header("Authorization", "Bearer " + arguments[0])
				.header("Content-Type", "application/json")
				.method(words[0], words.length > 2 ? BodyPublishers.ofString(words[2]) : BodyPublishers.noBody())
				.build();
			HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());

			System.out.println(answer.statusCode() + " " + answer.body().strip());
		}
	}
}
