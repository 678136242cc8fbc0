<?php
// PHP's curl: "address GET|POST|SAMPLE" as arguments, SAMPLE being what the vendor's manual calls a
// GET: it sets CURLOPT_POSTFIELDS, and curl makes a POST of it; on each line the fields, and back the
// answer: the text of its element, or the status and what came where it is none.

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
    $answer = $status === 200 ? html_entity_decode(trim(strip_tags($body))) : "HTTP $status: " . trim($body);
    echo json_encode(['answer' => $answer]), "\n";
}
