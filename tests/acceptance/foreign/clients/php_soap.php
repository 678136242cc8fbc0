<?php
// PHP's SoapClient: "WSDL 1.1|1.2" as arguments; on each line the fields, and back the answer.

$options = ['soap_version' => $argv[2] === '1.2' ? SOAP_1_2 : SOAP_1_1, 'cache_wsdl' => WSDL_CACHE_NONE];
$client = new SoapClient($argv[1], $options);
while (($line = fgets(STDIN)) !== false) {
    $answer = $client->sendMesExt(json_decode($line, true))->sendMesExtResult;
    echo json_encode(['answer' => $answer]), "\n";
}
