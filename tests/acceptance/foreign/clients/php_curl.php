<?php
// PHP's curl. Arguments: the service's address, then GET, POST or SAMPLE. SAMPLE is what the vendor's
// manual calls a GET: it sets CURLOPT_POSTFIELDS, and so curl sends a POST. Reads the fields and writes
// the result, a JSON line each; a response other than 200 is written as its status and body.

while (($line = fgets(STDIN)) !== false) {
    $query = http_build_query(json_decode($line, true));
    $curl = curl_init($argv[1] . '/sendMesExt' . ($argv[2] === 'GET' ? '?' . $query : ''));
    curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($curl, CURLOPT_TIMEOUT, 30);
    if ($argv[2] === 'POST') {
        curl_setopt($curl, CURLOPT_POST, true);
    }
    if ($argv[2] !== 'GET') {
        curl_setopt($curl, CURLOPT_POSTFIELDS, $query);
    }
    $body = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_HTTP_CODE);
    curl_close($curl);
    $result = $status === 200 ? html_entity_decode(trim(strip_tags($body))) : "HTTP $status: " . trim($body);
    echo json_encode(['result' => $result]), "\n";
}
