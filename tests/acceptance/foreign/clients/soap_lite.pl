# Perl's SOAP::Lite: "address 1.1|1.2" as arguments; on each line the fields, and back the answer.
use strict;
use warnings;
use JSON::PP;
use SOAP::Lite;

my ($address, $version) = @ARGV;
my $namespace = 'http://tempuri.org/';
$| = 1;
while (my $line = <STDIN>) {
    my $fields = decode_json($line);
    my $soap = SOAP::Lite->soapversion($version)->uri($namespace)->proxy($address)
        ->on_action(sub { "\"$namespace$_[1]\"" });
    my @parameters = map { SOAP::Data->name($_)->type('string')->value($fields->{$_}) }
        sort keys %$fields;
    my $method = SOAP::Data->name('sendMesExt')->attr({ xmlns => $namespace });
    my $result = $soap->call($method, @parameters);
    my $answer = $result->fault ? 'fault: ' . $result->faultstring : $result->result;
    print encode_json({ answer => $answer }), "\n";
}
