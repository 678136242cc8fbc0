<?php
// PHP's SoapClient. Arguments: the WSDL's address, then 1.1 or 1.2. Reads the fields and writes the result,
// a JSON line each.

$options = ['soap_version' => $argv[2] === '1.2' ? SOAP_1_2 : SOAP_1_1, 'cache_wsdl' => WSDL_CACHE_NONE];
$client = new SoapClient($argv[1], $options);
while (($line = fgets(STDIN)) !== false) {
    $result = $client->sendMesExt(json_decode($line, true))->sendMesExtResult;
    echo json_encode(['result' => $result]), "\n";
}
